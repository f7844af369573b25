//! The names of things: parsed once, then carried as types that cannot be confused or be invalid.
//!
//! Copies share the text: names go into every observation and every action.

use std::fmt;
use std::num::{NonZeroU32, ParseIntError};
use std::str::FromStr;
use std::sync::Arc;

use ottoscaler_kit::ident::{self, InvalidIdent};
use serde::{Deserialize, Serialize};
use thiserror::Error;

macro_rules! ident_type {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(Arc<str>);

        impl $name {
            /// The name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl TryFrom<String> for $name {
            type Error = InvalidIdent;

            fn try_from(name: String) -> Result<Self, InvalidIdent> {
                ident::check(&name)?;
                Ok(Self(name.into()))
            }
        }

        impl FromStr for $name {
            type Err = InvalidIdent;

            fn from_str(name: &str) -> Result<Self, InvalidIdent> {
                Self::try_from(name.to_owned())
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> Self {
                name.as_str().to_owned()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

ident_type!(
    /// A CI task, as its producer calls it.
    TaskId
);
ident_type!(
    /// A producer's idempotency key: the same key of the same task is the same request.
    RequestId
);
ident_type!(
    /// A set of workers across tasks, for `scale_down`.
    Group
);
ident_type!(
    /// On whose behalf a task runs.
    Tenant
);
ident_type!(
    /// One attempt of one worker of one request; see [`crate::name`].
    WorkerId
);
ident_type!(
    /// A request's record in Redis: the part of its key behind the prefix.
    RecordId
);

/// The id of a stream entry. Redis makes them ascending, so they order events.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct EntryId {
    millis: u64,
    sequence: u64,
}

impl EntryId {
    /// When Redis took the entry, by its own clock, in milliseconds since the epoch.
    pub fn unix_millis(self) -> u64 {
        self.millis
    }
}

/// The text is no id of a stream entry.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("expected a stream entry id such as 1700000000000-0, and got {0:?}")]
pub struct InvalidEntryId(String);

impl FromStr for EntryId {
    type Err = InvalidEntryId;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let invalid = || InvalidEntryId(text.to_owned());
        let (millis, sequence) = text.split_once('-').ok_or_else(invalid)?;
        let number = |digits: &str| digits.parse().map_err(|_: ParseIntError| invalid());
        Ok(Self { millis: number(millis)?, sequence: number(sequence)? })
    }
}

impl TryFrom<String> for EntryId {
    type Error = InvalidEntryId;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<EntryId> for String {
    fn from(id: EntryId) -> Self {
        id.to_string()
    }
}

impl fmt::Display for EntryId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.millis, self.sequence)
    }
}

/// Which worker of a request, from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct WorkerIndex(u32);

impl WorkerIndex {
    /// The indexes of a request for `count` workers.
    pub fn all(count: NonZeroU32) -> impl DoubleEndedIterator<Item = Self> {
        (0..count.get()).map(Self)
    }

    /// The index as a number.
    pub fn get(self) -> u32 {
        self.0
    }
}

impl FromStr for WorkerIndex {
    type Err = ParseIntError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse().map(Self)
    }
}

impl fmt::Display for WorkerIndex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// How often a worker has been tried, from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Attempt(NonZeroU32);

impl Attempt {
    /// The first attempt.
    pub const FIRST: Self = Self(NonZeroU32::MIN);

    /// The attempt as a number.
    pub fn get(self) -> u32 {
        self.0.get()
    }

    /// The one after it.
    #[must_use]
    pub fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

impl From<NonZeroU32> for Attempt {
    fn from(number: NonZeroU32) -> Self {
        Self(number)
    }
}

impl Default for Attempt {
    fn default() -> Self {
        Self::FIRST
    }
}

impl fmt::Display for Attempt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(text: &str) -> EntryId {
        text.parse().unwrap()
    }

    #[test]
    fn entry_ids_are_ordered_by_number_and_not_as_text() {
        assert!(entry("9-0") < entry("10-0"));
        assert!(entry("10-9") < entry("10-10"));
        assert_eq!(entry("1700000000000-3").to_string(), "1700000000000-3");
    }

    #[test]
    fn what_is_no_entry_id_is_refused() {
        for text in ["", "1", "a-0", "1-", "1-2-3", "-1-0"] {
            assert!(text.parse::<EntryId>().is_err(), "{text}");
        }
    }
}
