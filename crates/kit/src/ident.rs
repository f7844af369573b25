//! The rule for names that come from outside and travel through paths, keys and logs.

use thiserror::Error;

/// A name is at most so many bytes: a Kubernetes name (253) fits, and a key stays short.
pub const MAX_BYTES: usize = 256;

/// Why a name is refused. Reads on after the name of its field: `worker_id: must not be empty`.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum InvalidIdent {
    /// There is nothing in it.
    #[error("must not be empty")]
    Empty,
    /// It is longer than [`MAX_BYTES`].
    #[error("must be at most {MAX_BYTES} bytes, and has {0}")]
    TooLong(usize),
    /// A control character would break logs, headers and terminals.
    #[error("must not contain control characters, and has one at byte {0}")]
    Control(usize),
}

/// Checks that `name` has 1 to [`MAX_BYTES`] bytes and no control character.
pub fn check(name: &str) -> Result<(), InvalidIdent> {
    if name.is_empty() {
        return Err(InvalidIdent::Empty);
    }
    if name.len() > MAX_BYTES {
        return Err(InvalidIdent::TooLong(name.len()));
    }
    match name.char_indices().find(|(_, c)| c.is_control()) {
        Some((at, _)) => Err(InvalidIdent::Control(at)),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_refused_with_the_reason() {
        assert_eq!(check("org/repo#12 (main)"), Ok(()));
        assert_eq!(check(""), Err(InvalidIdent::Empty));
        assert_eq!(check(&"x".repeat(257)), Err(InvalidIdent::TooLong(257)));
        assert_eq!(check("a\nb"), Err(InvalidIdent::Control(1)));
        assert_eq!(check("a\u{85}"), Err(InvalidIdent::Control(1)));
    }
}
