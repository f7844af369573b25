//! Sizes in bytes, as people write them: `4096`, `64KiB`, `256 MiB`, `1GB`.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

/// A number of bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct ByteSize(u64);

/// Units by suffix; the binary ones first, because `Display` uses them.
const UNITS: [(&str, u64); 9] = [
    ("GiB", 1 << 30),
    ("MiB", 1 << 20),
    ("KiB", 1 << 10),
    ("GB", 1_000_000_000),
    ("MB", 1_000_000),
    ("kB", 1_000),
    ("KB", 1_000),
    ("B", 1),
    ("", 1),
];

impl ByteSize {
    /// So many bytes.
    pub const fn bytes(bytes: u64) -> Self {
        Self(bytes)
    }

    /// So many times 1024 bytes.
    pub const fn kib(kib: u64) -> Self {
        Self(kib << 10)
    }

    /// So many times 1024 × 1024 bytes.
    pub const fn mib(mib: u64) -> Self {
        Self(mib << 20)
    }

    /// The size in bytes.
    pub const fn as_u64(self) -> u64 {
        self.0
    }

    /// The size in bytes, as memory is measured; on a machine of 32 bits at most what it can address.
    pub fn as_usize(self) -> usize {
        usize::try_from(self.0).unwrap_or(usize::MAX)
    }
}

/// The text is no size.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[error("expected a size such as 4096, 64KiB or 256MiB")]
pub struct InvalidSize;

impl FromStr for ByteSize {
    type Err = InvalidSize;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let text = text.trim();
        let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
        let (number, suffix) = text.split_at(digits);
        let (_, unit) = UNITS.iter().find(|(name, _)| *name == suffix.trim()).ok_or(InvalidSize)?;
        let number: u64 = number.parse().map_err(|_| InvalidSize)?;
        number.checked_mul(*unit).map(Self).ok_or(InvalidSize)
    }
}

impl fmt::Display for ByteSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (name, unit) = UNITS[..3]
            .iter()
            .find(|(_, unit)| self.0 >= *unit && self.0.is_multiple_of(*unit))
            .unwrap_or(&("B", 1));
        write!(f, "{}{name}", self.0 / unit)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn sizes_are_read_as_people_write_them() {
        for (text, bytes) in
            [("0", 0), ("17", 17), ("64KiB", 65536), ("2 MiB", 2 << 20), ("1GB", 1_000_000_000)]
        {
            assert_eq!(text.parse(), Ok(ByteSize(bytes)), "{text}");
        }
        for text in ["", "KiB", "-1", "1.5MiB", "1 fortnight", "99999999999GiB"] {
            assert_eq!(text.parse::<ByteSize>(), Err(InvalidSize), "{text}");
        }
    }

    proptest! {
        #[test]
        fn what_is_shown_can_be_read_again(bytes in 0..u64::MAX) {
            let size = ByteSize(bytes);
            prop_assert_eq!(size.to_string().parse(), Ok(size));
        }
    }
}
