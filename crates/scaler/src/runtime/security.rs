//! How much a worker may do where it runs, by the names that Kubernetes has for it.

use serde::Deserialize;

/// How a worker is confined: a Pod Security Standard, and what is like it elsewhere.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Security {
    /// Nothing beyond a plain process. In a Pod never root; in a container of Docker root without any of its powers.
    #[default]
    Restricted,
    /// As its image says, root too; nothing of the node's.
    Baseline,
}
