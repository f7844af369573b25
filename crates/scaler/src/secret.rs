//! A setting that must not be seen: a Redis URL may hold a password.

use std::convert::Infallible;
use std::fmt;
use std::str::FromStr;

/// Text that neither logs nor error messages show.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// The text itself, for the one place that needs it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl FromStr for Secret {
    type Err = Infallible;

    /// Takes any text: an error would show it.
    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("<secret>")
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("<secret>")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_never_shown() {
        let secret: Secret = "redis://:sesame@host".parse().unwrap();
        assert!(!format!("{secret} {secret:?}").contains("sesame"));
        assert_eq!(secret.expose(), "redis://:sesame@host");
    }
}
