//! What is measured.

pub(crate) mod commits;
mod fill;
pub(crate) mod life;
