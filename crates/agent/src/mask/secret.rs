//! What is to be masked: values, and where they were named.

use std::ffi::OsString;
use std::fmt;
use std::os::unix::ffi::OsStringExt;
use std::path::Path;

use thiserror::Error;

/// Shorter ones would mask half of every log: `true`, `main` and `1234` are in all of them. GitHub's runner
/// learnt that with values of one letter (actions/runner#326).
pub const SHORTEST: usize = 4;

/// A longer value is no secret but a file, and what it costs is paid for each byte of the log.
pub(super) const LONGEST: usize = 16 << 10;

/// Some editors begin a text with it; it is no part of the first value.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// A value that no reader may see. Never printed: not by `Debug` either.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Secret(Vec<u8>);

/// Why a value is not masked.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum Unmaskable {
    /// Hardly anything would be left of the log.
    #[error("it has fewer than {SHORTEST} bytes, and would mask far more than itself")]
    TooShort,
    /// A name that was mistyped hides nothing.
    #[error("there is no such variable")]
    NotSet,
    /// Not what masking is for.
    #[error("it has more than {} KiB", LONGEST >> 10)]
    TooLong,
    /// Every value makes every line a bit slower.
    #[error("there are too many values to mask already")]
    TooMany,
}

/// Why the values cannot be had.
#[derive(Debug, Error)]
#[error("--mask-file (OTTO_MASK_FILE): cannot read {path}: {source}")]
pub struct Unreadable {
    path: String,
    source: std::io::Error,
}

impl Secret {
    /// Without the blanks around it: a file's last newline is no part of the value, and a value that is
    /// masked without its blanks is masked with them.
    pub(super) fn new(value: &[u8]) -> Result<Self, Unmaskable> {
        let value = value.trim_ascii();
        match value.len() {
            length if length < SHORTEST => Err(Unmaskable::TooShort),
            length if length > LONGEST => Err(Unmaskable::TooLong),
            _ => Ok(Self(value.to_vec())),
        }
    }

    /// The value itself.
    pub(super) fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Secret(…)")
    }
}

/// Values, each with a name by which an operator knows it, or why there is none.
pub type Named = Vec<(String, Result<Vec<u8>, Unmaskable>)>;

/// The values of the environment variables in these lists.
pub fn of_environment(lists: &[String]) -> Named {
    let value_of = |name: &str| {
        let value = std::env::var_os(name).map(OsString::into_vec).ok_or(Unmaskable::NotSet);
        (format!("variable {name}"), value)
    };
    lists.iter().flat_map(|list| names(list)).map(value_of).collect()
}

/// The names in a list, however somebody separated them: a name that is not understood is a secret that is shown.
fn names(list: &str) -> impl Iterator<Item = &str> {
    list.split(|char: char| char == ',' || char.is_whitespace()).filter(|name| !name.is_empty())
}

/// The values in a file, one a line, written as in `::add-mask::` lines.
pub fn of_file(path: &Path) -> Result<Named, Unreadable> {
    let content =
        std::fs::read(path).map_err(|source| Unreadable { path: path.display().to_string(), source })?;
    let content = content.strip_prefix(BYTE_ORDER_MARK).unwrap_or(&content);
    let lines = content.split(|&byte| byte == b'\n').enumerate();
    let filled = lines.filter(|(_, line)| !line.trim_ascii().is_empty());
    let named = |(at, line): (usize, &[u8])| {
        let name = format!("line {} of {}", at + 1, path.display());
        decoded(line).into_iter().map(move |value| (name.clone(), Ok(value)))
    };
    Ok(filled.flat_map(named).collect())
}

/// A value as it stands in one line. `%0A`, `%0D` and `%25` stand for newline, carriage return and `%`, as
/// in GitHub's workflow commands. Whoever does not know that means what he wrote, so that is a value, too.
pub(super) fn decoded(line: &[u8]) -> Vec<Vec<u8>> {
    let mut decoded = Vec::with_capacity(line.len());
    let mut rest = line;
    while let Some((&byte, after)) = rest.split_first() {
        let (byte, after) = match rest.get(..3).map(<[u8]>::to_ascii_uppercase).as_deref() {
            Some(b"%0A") => (b'\n', &rest[3..]),
            Some(b"%0D") => (b'\r', &rest[3..]),
            Some(b"%25") => (b'%', &rest[3..]),
            _ => (byte, after),
        };
        decoded.push(byte);
        rest = after;
    }
    if decoded == line { vec![decoded] } else { vec![decoded, line.to_vec()] }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_not_printed() {
        let secret = Secret::new(b"hunter22\n").unwrap();
        assert_eq!(secret.as_bytes(), b"hunter22");
        assert!(!format!("{secret:?}").contains("hunter"));
    }

    #[test]
    fn what_is_too_short_or_too_long_is_said_to_be() {
        assert_eq!(Secret::new(b" abc\n"), Err(Unmaskable::TooShort));
        assert_eq!(Secret::new(&vec![b'x'; LONGEST + 1]), Err(Unmaskable::TooLong));
    }

    #[test]
    fn a_line_stands_for_what_it_encodes_and_for_itself() {
        assert_eq!(decoded(b"plain"), [b"plain".to_vec()]);
        assert_eq!(decoded(b"a%0ab%25c"), [b"a\nb%c".to_vec(), b"a%0ab%25c".to_vec()]);
        assert_eq!(decoded(b"100%"), [b"100%".to_vec()]);
    }

    #[test]
    fn names_are_separated_by_commas_and_blanks() {
        let found: Vec<_> = names(" A, B\tC,,D\n").collect();
        assert_eq!(found, ["A", "B", "C", "D"]);
    }

    #[test]
    fn a_file_holds_one_value_a_line() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "\u{feff}first value\n\nsecond\r\n").unwrap();
        let named = of_file(file.path()).unwrap();
        let values: Vec<_> = named.iter().map(|(_, value)| value.as_ref().unwrap().trim_ascii()).collect();
        assert_eq!(values, [b"first value".as_slice(), b"second"]);
        assert!(named[1].0.starts_with("line 3 of "), "{}", named[1].0);
        assert!(of_file(Path::new("/nowhere")).unwrap_err().to_string().contains("OTTO_MASK_FILE"));
    }
}
