//! The names that clients give to workers and tasks.

use std::fmt;
use std::sync::Arc;

use ottoscaler_kit::ident::{self, InvalidIdent};

macro_rules! name {
    ($(#[$doc:meta])* $type:ident) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $type(Arc<str>);

        impl $type {
            /// The name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl TryFrom<&str> for $type {
            type Error = InvalidIdent;

            fn try_from(name: &str) -> Result<Self, InvalidIdent> {
                ident::check(name)?;
                Ok(Self(name.into()))
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

name! {
    /// One run of one command. 1 to 256 bytes, no control characters; cheap to clone.
    WorkerId
}

name! {
    /// A set of workers that belong together. Same form.
    TaskId
}

impl From<&WorkerId> for TaskId {
    /// A worker that names no task is a task of its own.
    fn from(worker: &WorkerId) -> Self {
        Self(Arc::clone(&worker.0))
    }
}
