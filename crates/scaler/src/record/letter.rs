//! A dead letter: an entry that cannot be handled, with the reason and everything that was in it.
//!
//! Written and read back here, so that one knows what the other does: every byte of the entry's fields
//! comes back, in its order. An entry of the stream that somebody else wrote there is a [`Letter`]
//! without an original.

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde::{Deserialize, Serialize};

use crate::event::{RawEntry, Rejection};
use crate::ids::EntryId;

/// A letter keeps so many fields of an entry one by one, and the rest as one: Lua passes at most
/// about 8,000 values to a command, two for each field.
const LETTER_FIELDS: usize = 1_000;

/// Fields of the entry in its dead letter carry this prefix, so that they cannot pass for the letter's own.
const ORIGINAL_PREFIX: &[u8] = b"original.";

/// The fields above [`LETTER_FIELDS`], as a JSON array of pairs.
const MORE_FIELDS: &[u8] = b"more_fields";

/// Names and values.
type Fields = Vec<(Vec<u8>, Vec<u8>)>;

/// Why an entry is a dead letter.
#[derive(Clone, Debug)]
pub enum DeadLetter {
    /// It is no event.
    Rejected(Rejection),
    /// Its handling failed or crashed so many times.
    Undeliverable {
        /// How many times it was delivered.
        deliveries: u64,
    },
}

/// A dead letter as it was found in Redis.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Letter {
    /// Its own place among the letters.
    pub id: EntryId,
    /// `rejected` or `undeliverable`.
    pub cause: String,
    /// What is blamed; may be empty.
    pub field: String,
    /// Why.
    pub reason: String,
    /// How often it was delivered, where that is the cause.
    pub deliveries: Option<u64>,
    /// The entry that it was, as its producer wrote it. None where this is not a whole letter.
    pub original: Option<RawEntry>,
}

/// Bytes in JSON: as text where they are text.
#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Word {
    Text(String),
    Bytes { base64: String },
}

impl DeadLetter {
    /// All causes.
    pub const CAUSES: [&str; 2] = [Self::REJECTED, Self::UNDELIVERABLE];
    const REJECTED: &str = "rejected";
    const UNDELIVERABLE: &str = "undeliverable";

    /// Cause, field and reason.
    pub fn blame(&self) -> (&'static str, &str, String) {
        match self {
            Self::Rejected(rejection) => (Self::REJECTED, rejection.field(), rejection.reason().to_owned()),
            Self::Undeliverable { deliveries } => {
                (Self::UNDELIVERABLE, "", format!("handling failed {deliveries} times"))
            }
        }
    }

    /// What the letter about `entry` holds.
    pub(super) fn fields(&self, entry: &RawEntry) -> Fields {
        let (cause, field, reason) = self.blame();
        let deliveries = match self {
            Self::Rejected(_) => String::new(),
            Self::Undeliverable { deliveries } => deliveries.to_string(),
        };
        let own = [
            ("cause", cause.to_owned()),
            ("field", field.to_owned()),
            ("reason", reason),
            ("deliveries", deliveries),
            ("entry_id", entry.id.to_string()),
        ];
        let own = own.into_iter().map(|(name, value)| (name.as_bytes().to_vec(), value.into_bytes()));
        own.chain(original(entry)).collect()
    }
}

/// The entry's own fields under names that cannot be mistaken for the letter's.
fn original(entry: &RawEntry) -> Fields {
    let (single, rest) = entry.fields.split_at(entry.fields.len().min(LETTER_FIELDS));
    let mut fields: Fields =
        single.iter().map(|(name, value)| ([ORIGINAL_PREFIX, name].concat(), value.clone())).collect();
    if !rest.is_empty() {
        let rest: Vec<_> = rest.iter().map(|(name, value)| (Word::new(name), Word::new(value))).collect();
        let rest = serde_json::to_vec(&rest).expect("pairs of text");
        fields.push((MORE_FIELDS.to_vec(), rest));
    }
    fields
}

impl Letter {
    /// Reads an entry of the dead letter stream.
    pub fn read(entry: RawEntry) -> Self {
        let text = |name: &str| {
            let found = entry.fields.iter().find(|(given, _)| given == name.as_bytes());
            found.map(|(_, value)| String::from_utf8_lossy(value).into_owned()).unwrap_or_default()
        };
        let (cause, field, reason) = (text("cause"), text("field"), text("reason"));
        let (deliveries, of) = (text("deliveries").parse().ok(), text("entry_id").parse().ok());
        let id = entry.id;
        let original = of
            .zip(read_original(entry.fields).filter(|fields| !fields.is_empty()))
            .map(|(id, fields)| RawEntry { id, fields });
        Self { id, cause, field, reason, deliveries, original }
    }
}

/// None where a part cannot be read: half an event is none.
fn read_original(fields: Fields) -> Option<Fields> {
    let mut original = Fields::new();
    for (name, value) in fields {
        if let Some(name) = name.strip_prefix(ORIGINAL_PREFIX) {
            original.push((name.to_vec(), value));
        } else if name == MORE_FIELDS {
            for (name, value) in serde_json::from_slice::<Vec<(Word, Word)>>(&value).ok()? {
                original.push((name.bytes()?, value.bytes()?));
            }
        }
    }
    Some(original)
}

impl Word {
    fn new(bytes: &[u8]) -> Self {
        match std::str::from_utf8(bytes) {
            Ok(text) => Self::Text(text.to_owned()),
            Err(_) => Self::Bytes { base64: BASE64.encode(bytes) },
        }
    }

    fn bytes(self) -> Option<Vec<u8>> {
        match self {
            Self::Text(text) => Some(text.into_bytes()),
            Self::Bytes { base64 } => BASE64.decode(base64).ok(),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    fn written(entry: &RawEntry) -> RawEntry {
        let letter = DeadLetter::Undeliverable { deliveries: 3 };
        RawEntry { id: "9-1".parse().unwrap(), fields: letter.fields(entry) }
    }

    proptest! {
        #[test]
        fn p10_every_byte_of_an_entry_comes_back_from_its_letter(
            fields in vec((vec(any::<u8>(), 0..12), vec(any::<u8>(), 0..12)), 1..6),
            copies in prop_oneof![Just(1_usize), Just(LETTER_FIELDS)],
        ) {
            let fields: Fields = fields.iter().cycle().take(fields.len() * copies).cloned().collect();
            let entry = RawEntry { id: "5-0".parse().unwrap(), fields };
            let letter = Letter::read(written(&entry));
            prop_assert_eq!(letter.original, Some(entry));
            prop_assert_eq!((letter.cause.as_str(), letter.deliveries), ("undeliverable", Some(3)));
        }
    }

    #[test]
    fn what_somebody_else_wrote_has_no_original() {
        let read = |fields: &[(&str, &str)]| {
            let fields = fields.iter().map(|(n, v)| (n.as_bytes().to_vec(), v.as_bytes().to_vec())).collect();
            Letter::read(RawEntry { id: "9-1".parse().unwrap(), fields }).original
        };
        assert_eq!(read(&[("type", "scale_up")]), None);
        assert_eq!(read(&[("entry_id", "5-0")]), None);
        assert_eq!(read(&[("original.type", "scale_up")]), None);
        assert_eq!(read(&[("entry_id", "5-0"), ("original.a", "b"), ("more_fields", "[[")]), None);
        let plain = [("entry_id", "5-0"), ("original.a", "b"), ("more_fields", r#"[["c","d"]]"#)];
        assert_eq!(read(&plain).unwrap().fields.len(), 2, "as letters were written before");
    }
}
