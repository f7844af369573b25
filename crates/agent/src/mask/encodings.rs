//! From a value to everything that it looks like in a log, pure.
//!
//! Covered are the value itself, and what people print without noticing that it holds the value: base64
//! (both alphabets, at any place in a longer text, and as `base64` and `openssl` break its lines), URL and
//! form encoding, and JSON strings as the usual libraries write them. No form holds a newline: a value of
//! many lines is masked line by line, and what may stand between the characters of base64 is `wrapped`'s.

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_encode};

use super::secret::{SHORTEST, Secret};

/// Longer values are masked in pieces: what may go on after the end of what was read has to be held back,
/// and no form of a piece has more than six times its bytes.
const PIECE: usize = 512;

/// Pieces reach so far into the next one. At its ends a piece of base64 lacks the characters that it shares
/// with its neighbours.
const OVERLAP: usize = 4;

/// A piece of base64 that is shorter than this is in many texts by chance.
const SHORTEST_BASE64: usize = 4;

/// Characters in a line of base64: MIME's, which the `base64` command uses, and PEM's, which openssl uses.
const BASE64_LINES: [usize; 2] = [76, 64];

/// JavaScript's `encodeURI`.
const URI: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'~')
    .remove(b'!')
    .remove(b'*')
    .remove(b'\'')
    .remove(b'(')
    .remove(b')')
    .remove(b';')
    .remove(b'/')
    .remove(b'?')
    .remove(b':')
    .remove(b'@')
    .remove(b'&')
    .remove(b'=')
    .remove(b'+')
    .remove(b'$')
    .remove(b',')
    .remove(b'#');
/// JavaScript's `encodeURIComponent`.
const COMPONENT: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'~')
    .remove(b'!')
    .remove(b'*')
    .remove(b'\'')
    .remove(b'(')
    .remove(b')');
/// RFC 3986's unreserved characters, as most other languages do it.
const STRICT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');
/// The same with slashes left alone, as Python's `quote` does.
const PATH: &AsciiSet = &STRICT.remove(b'/');
/// Forms, where a blank becomes `+`.
const FORM: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'*').remove(b' ');

/// Whether line breaks may stand between the characters of a form.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Breaks {
    Nowhere,
    Anywhere,
}

/// What is masked, and where it may be broken.
pub(super) type Forms = BTreeMap<Vec<u8>, Breaks>;

/// All forms of a value.
pub(super) fn forms(secret: &Secret) -> Forms {
    let value = secret.as_bytes();
    let mut forms = Forms::new();
    let lines = value.split(|byte| matches!(byte, b'\n' | b'\r')).map(<[u8]>::trim_ascii);
    let plain = lines.flat_map(pieces).filter(|piece| piece.len() >= SHORTEST).map(<[u8]>::to_vec);
    let others = pieces(value).flat_map(|piece| url(piece).chain(json(piece)));
    // Each line by itself, too: something may stand before each of them.
    let base64_lines = BASE64_LINES.into_iter().flat_map(|width| base64_lines(value, width));
    let solid = plain.chain(others).chain(base64_lines);
    forms.extend(solid.map(|form| (form, Breaks::Nowhere)));
    // Last: what is both may be broken.
    forms.extend(pieces(value).flat_map(base64).map(|form| (form, Breaks::Anywhere)));
    // What needs no encoding is itself in all of them; a newline is in none of the others. What is left of
    // bytes that are no text may be a letter, and is not worth a log without it.
    forms.retain(|form, _| form.len() >= SHORTEST && !form.contains(&b'\n'));
    forms
}

/// The value in pieces of at least [`PIECE`] bytes, if it has that many, and of less than twice as many.
fn pieces(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    let count = (value.len() / PIECE).max(1);
    (0..count).map(move |at| {
        let end = if at + 1 == count { value.len() } else { ((at + 1) * PIECE + OVERLAP).min(value.len()) };
        &value[at * PIECE..end]
    })
}

/// The piece inside a longer text that is encoded: after any number of bytes, before anything or nothing.
fn base64(piece: &[u8]) -> impl Iterator<Item = Vec<u8>> {
    let alphabets = [STANDARD_NO_PAD, URL_SAFE_NO_PAD];
    let encoded = alphabets.into_iter().flat_map(move |alphabet| {
        (0..3).flat_map(move |before| {
            let mut text = vec![0; before];
            text.extend_from_slice(piece);
            let encoded = alphabet.encode(&text).into_bytes();
            // The first characters hold bits of what comes before, the last one may hold some of what follows.
            let first = (before * 8).div_ceil(6);
            let whole = text.len() * 8 / 6;
            [encoded[first..whole].to_vec(), encoded[first..].to_vec()]
        })
    });
    encoded.filter(|form| form.len() >= SHORTEST_BASE64)
}

/// The lines of its base64, where it has more than one.
fn base64_lines(value: &[u8], width: usize) -> Vec<Vec<u8>> {
    let encoded = STANDARD_NO_PAD.encode(value).into_bytes();
    let whole = value.len() * 8 / 6;
    if encoded.len() <= width {
        return Vec::new();
    }
    let lines = encoded[..whole].chunks(width).map(<[u8]>::to_vec);
    lines.filter(|line| line.len() >= SHORTEST_BASE64).collect()
}

fn url(piece: &[u8]) -> impl Iterator<Item = Vec<u8>> {
    let sets = [(URI, false), (COMPONENT, false), (STRICT, false), (PATH, false), (FORM, true)];
    sets.into_iter().flat_map(move |(set, is_form)| {
        let upper: String = percent_encode(piece, set).collect();
        let upper = if is_form { upper.replace(' ', "+") } else { upper };
        let lower = lowercase_hex(&upper);
        [upper.into_bytes(), lower]
    })
}

/// The same with `%2f` instead of `%2F`.
fn lowercase_hex(encoded: &str) -> Vec<u8> {
    let mut bytes = encoded.as_bytes().to_vec();
    let mut at = 0;
    while at < bytes.len() {
        if bytes[at] == b'%' {
            bytes[at + 1..at + 3].make_ascii_lowercase();
            at += 2;
        }
        at += 1;
    }
    bytes
}

/// What the writers of JSON differ in, each independent of the others.
#[derive(Clone, Copy)]
#[expect(clippy::struct_excessive_bools, reason = "sixteen styles, and a bit says each of them best")]
struct Json {
    /// Everything beyond ASCII is escaped: Python.
    ascii: bool,
    /// `<`, `>` and `&` are escaped: Go.
    html: bool,
    /// `/` is escaped: PHP.
    slash: bool,
    /// Hexadecimal digits are upper case: Java.
    upper: bool,
}

/// A value that is not UTF-8 has no form in JSON.
fn json(piece: &[u8]) -> Vec<Vec<u8>> {
    let Some(text) = whole_characters(piece) else { return Vec::new() };
    let styles = (0..16).map(|bits: u8| Json {
        ascii: bits & 1 > 0,
        html: bits & 2 > 0,
        slash: bits & 4 > 0,
        upper: bits & 8 > 0,
    });
    styles
        .map(|style| text.chars().map(|character| style.escape(character)).collect::<String>().into_bytes())
        .collect()
}

/// Without the parts of characters that the cutting into pieces left at the ends.
fn whole_characters(piece: &[u8]) -> Option<&str> {
    let is_inside = |byte: &u8| byte & 0b1100_0000 == 0b1000_0000;
    let start = piece.iter().position(|byte| !is_inside(byte))?;
    match std::str::from_utf8(&piece[start..]) {
        Ok(text) => Some(text),
        Err(error) if error.error_len().is_none() => {
            std::str::from_utf8(&piece[start..start + error.valid_up_to()]).ok()
        }
        Err(_) => None,
    }
}

impl Json {
    fn escape(self, character: char) -> String {
        match character {
            '"' => "\\\"".to_owned(),
            '\\' => "\\\\".to_owned(),
            '\n' => "\\n".to_owned(),
            '\r' => "\\r".to_owned(),
            '\t' => "\\t".to_owned(),
            '\u{8}' => "\\b".to_owned(),
            '\u{c}' => "\\f".to_owned(),
            '/' if self.slash => "\\/".to_owned(),
            '<' | '>' | '&' | '\u{2028}' | '\u{2029}' if self.html => self.numbered(character),
            '\0'..='\x1f' => self.numbered(character),
            _ if self.ascii && !character.is_ascii() => self.numbered(character),
            _ => character.to_string(),
        }
    }

    /// As `\uXXXX`, or two of them.
    fn numbered(self, character: char) -> String {
        let mut units = [0; 2];
        let units = character.encode_utf16(&mut units).iter();
        units
            .map(|unit| if self.upper { format!("\\u{unit:04X}") } else { format!("\\u{unit:04x}") })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use base64::engine::general_purpose::STANDARD;
    use proptest::prelude::*;

    use super::*;

    fn forms_of(value: &str) -> Forms {
        forms(&Secret::new(value.as_bytes()).unwrap())
    }

    fn has(forms: &Forms, form: &str) -> bool {
        forms.contains_key(form.as_bytes())
    }

    #[test]
    fn a_plain_word_has_few_forms() {
        let forms = forms_of("hunter22");
        assert!(has(&forms, "hunter22") && has(&forms, "aHVudGVyMjI"));
        assert!(forms.len() <= 8, "each form makes every line slower: {}", forms.len());
    }

    #[test]
    fn urls_are_covered_as_usual_libraries_write_them() {
        let forms = forms_of("a b/c+d=é");
        for form in [
            "a%20b%2Fc%2Bd%3D%C3%A9",
            "a%20b%2fc%2bd%3d%c3%a9",
            "a+b%2Fc%2Bd%3D%C3%A9",
            "a%20b/c%2Bd%3D%C3%A9",
            "a%20b/c+d=%C3%A9",
        ] {
            assert!(has(&forms, form), "{form}");
        }
    }

    #[test]
    fn json_is_covered_as_usual_libraries_write_it() {
        let forms = forms_of("q\"b\\s/<é😀>\u{1}");
        for form in [
            r#"q\"b\\s/<é😀>\u0001"#,
            r#"q\"b\\s/<\u00e9\ud83d\ude00>\u0001"#,
            r#"q\"b\\s/\u003cé😀\u003e\u0001"#,
            r#"q\"b\\s\/<é😀>\u0001"#,
            r#"q\"b\\s/<\u00E9\uD83D\uDE00>\u0001"#,
        ] {
            assert!(has(&forms, form), "{form}");
        }
    }

    #[test]
    fn a_value_of_many_lines_is_masked_by_line_and_encoded_as_a_whole() {
        let forms = forms_of("-----BEGIN KEY-----\r\n  MIIE+abc\r\nxy\r\n-----END KEY-----\n");
        assert!(has(&forms, "MIIE+abc") && has(&forms, "-----END KEY-----") && !has(&forms, "xy"));
        assert!(has(&forms, r"-----BEGIN KEY-----\r\n  MIIE+abc\r\nxy\r\n-----END KEY-----"));
        assert!(forms.keys().all(|form| !form.contains(&b'\n')));
    }

    #[test]
    fn what_is_left_of_bytes_that_are_no_text_is_not_masked_by_itself() {
        let forms = forms(&Secret::new(b"\x80\x81\x82\x83a").unwrap());
        assert!(forms.keys().all(|form| form.len() >= SHORTEST), "{forms:?}");
    }

    proptest! {
        #[test]
        fn base64_is_found_at_any_place(
            before in prop::collection::vec(any::<u8>(), 0..7),
            value in prop::collection::vec(1_u8..128, 5..60),
            after in prop::collection::vec(any::<u8>(), 0..7),
        ) {
            let Ok(secret) = Secret::new(&value) else { return Ok(()) };
            let text = STANDARD.encode([&before, secret.as_bytes(), &after].concat());
            let found = base64(secret.as_bytes()).any(|form| memchr::memmem::find(text.as_bytes(), &form).is_some());
            prop_assert!(found);
        }

        #[test]
        fn pieces_cover_the_value(length in 4_usize..5000) {
            let value: Vec<u8> = (0..length).map(|at| u8::try_from(at % 251).unwrap()).collect();
            let mut end = 0;
            for piece in pieces(&value) {
                let start = piece.as_ptr() as usize - value.as_ptr() as usize;
                prop_assert!(start <= end && piece.len() < 2 * PIECE + OVERLAP);
                end = start + piece.len();
            }
            prop_assert_eq!(end, length);
        }
    }
}
