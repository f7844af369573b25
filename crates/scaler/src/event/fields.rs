//! The fields of one entry: bounded, text, each read by the name that the producer chose.
//!
//! Three dialects of the event are in use, so most fields have aliases. Two aliases may be given
//! together where they agree. An empty value is the same as none: producers send those for what they
//! do not know.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::str::FromStr;

use super::Rejection;

/// A field above this cannot reach a command: Linux takes 128 KiB as one argument or variable, with its
/// name and a zero at the end.
pub(super) const FIELD_BYTES: usize = 127 << 10;

/// All fields of an entry together; they end up in a record, an environment and a Pod.
const ENTRY_BYTES: usize = 1 << 20;

/// The fields that nothing has asked for yet.
#[derive(Debug, Default)]
pub(super) struct Fields(BTreeMap<String, String>);

/// A value with the name under which it was given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Given {
    pub(super) name: String,
    pub(super) value: String,
}

impl Given {
    /// Blames this field.
    pub(super) fn reject(&self, reason: impl Display) -> Rejection {
        Rejection::new(&self.name, reason.to_string())
    }

    /// Reads the value, or blames the field with the type's own words.
    pub(super) fn parse<T: FromStr<Err: Display>>(&self) -> Result<T, Rejection> {
        self.value.parse().map_err(|error| self.reject(error))
    }
}

impl Fields {
    /// Checks sizes and encoding.
    pub(super) fn new(raw: &[(Vec<u8>, Vec<u8>)]) -> Result<Self, Rejection> {
        let mut fields = BTreeMap::new();
        let mut total = 0;
        for (name, value) in raw {
            let (name, value) = text(name, value)?;
            total += name.len() + value.len();
            if total > ENTRY_BYTES {
                return Err(Rejection::new(name, format!("the entry has more than {ENTRY_BYTES} bytes")));
            }
            if value.is_empty() {
                continue;
            }
            match fields.get(&name) {
                Some(before) if *before != value => {
                    return Err(Rejection::new(name, "given twice, with different values"));
                }
                _ => fields.insert(name, value),
            };
        }
        Ok(Self(fields))
    }

    /// Takes the value given under one of these names.
    pub(super) fn take(&mut self, names: &[&str]) -> Result<Option<Given>, Rejection> {
        let mut found: Option<Given> = None;
        for name in names {
            let Some(value) = self.0.remove(*name) else { continue };
            let given = Given { name: (*name).to_owned(), value };
            match &found {
                Some(first) if first.value != given.value => {
                    return Err(given.reject(format!("differs from {}, which means the same", first.name)));
                }
                Some(_) => {}
                None => found = Some(given),
            }
        }
        Ok(found)
    }

    /// Takes and reads a value.
    pub(super) fn parse<T: FromStr<Err: Display>>(&mut self, names: &[&str]) -> Result<Option<T>, Rejection> {
        self.take(names)?.map(|given| given.parse()).transpose()
    }

    /// Takes text that is to be put into an environment.
    pub(super) fn text(&mut self, name: &str) -> Result<Option<String>, Rejection> {
        let Some(given) = self.take(&[name])? else { return Ok(None) };
        if given.value.contains('\0') {
            return Err(given.reject("must not contain a NUL character"));
        }
        Ok(Some(given.value))
    }

    /// What nobody asked for.
    pub(super) fn rest(self) -> BTreeMap<String, String> {
        self.0
    }
}

fn text(name: &[u8], value: &[u8]) -> Result<(String, String), Rejection> {
    let shown = String::from_utf8_lossy(name);
    let shown: String = shown.chars().filter(|c| !c.is_control()).take(100).collect();
    if name.is_empty() || name.len() > ottoscaler_kit::ident::MAX_BYTES {
        return Err(Rejection::new(shown, "the field's name must have 1 to 256 bytes"));
    }
    if value.len() > FIELD_BYTES {
        let reason = format!("must have at most {FIELD_BYTES} bytes, and has {}", value.len());
        return Err(Rejection::new(shown, reason));
    }
    match (std::str::from_utf8(name), std::str::from_utf8(value)) {
        (Ok(name), Ok(value)) => Ok((name.to_owned(), value.to_owned())),
        (Err(_), _) => Err(Rejection::new(shown, "the field's name is not UTF-8")),
        (_, Err(error)) => {
            Err(Rejection::new(shown, format!("is not UTF-8 from byte {} on", error.valid_up_to())))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(raw: &[(&str, &str)]) -> Result<Fields, Rejection> {
        let raw: Vec<_> = raw.iter().map(|(n, v)| (n.as_bytes().to_vec(), v.as_bytes().to_vec())).collect();
        Fields::new(&raw)
    }

    #[test]
    fn aliases_that_agree_are_one_value_and_others_are_both_named() {
        let mut agree = fields(&[("a", "1"), ("b", "1")]).unwrap();
        assert_eq!(agree.take(&["a", "b"]).unwrap().unwrap().value, "1");
        assert!(agree.rest().is_empty());
        let rejection = fields(&[("a", "1"), ("b", "2")]).unwrap().take(&["a", "b"]).unwrap_err();
        assert_eq!(rejection.field(), "b");
        assert!(rejection.reason().contains('a'));
    }

    #[test]
    fn an_empty_value_is_none() {
        assert_eq!(fields(&[("a", "")]).unwrap().take(&["a"]).unwrap(), None);
    }

    #[test]
    fn bytes_that_are_no_text_and_sizes_above_the_limits_are_blamed_on_their_field() {
        let blamed = |name: &[u8], value: Vec<u8>| {
            Fields::new(&[(name.to_vec(), value)]).unwrap_err().field().to_owned()
        };
        assert_eq!(blamed(b"env", vec![b'a', 0xff]), "env");
        assert_eq!(blamed(b"note", vec![b'x'; FIELD_BYTES + 1]), "note");
        assert_eq!(blamed(&[0xff, b'n'], b"v".to_vec()), "\u{fffd}n");
        let many: Vec<_> = (0..9).map(|n| (vec![b'a' + n], vec![b'x'; FIELD_BYTES])).collect();
        assert_eq!(Fields::new(&many).unwrap_err().field(), "i");
    }
}
