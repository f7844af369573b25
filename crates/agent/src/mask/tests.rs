//! No masked value gets through, in any covered form, wherever reads cut it.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};
use memchr::memmem;
use proptest::prelude::*;

use super::*;

/// How a log comes to hold a value.
#[derive(Clone, Debug)]
enum Leak {
    Plain,
    Base64 { before: Vec<u8>, after: Vec<u8>, url_safe: bool, lines: Option<(usize, &'static str)> },
    Url { form: bool },
    Json { ascii: bool },
}

impl Leak {
    /// What stands in the log, by means other than those of the code under test.
    fn of(&self, value: &str) -> Vec<u8> {
        match self {
            Self::Plain => value.into(),
            Self::Base64 { before, after, url_safe, lines } => {
                let engine = if *url_safe { URL_SAFE } else { STANDARD };
                let encoded = engine.encode([before, value.as_bytes(), after].concat());
                lines.map_or_else(|| encoded.clone(), |lines| broken(&encoded, lines)).into()
            }
            Self::Url { form } => {
                let encode = |byte: u8| match byte {
                    b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' => {
                        char::from(byte).to_string()
                    }
                    b' ' if *form => "+".to_owned(),
                    b'~' if !*form => "~".to_owned(),
                    _ => format!("%{byte:02X}"),
                };
                value.bytes().map(encode).collect::<String>().into()
            }
            Self::Json { ascii } => {
                let text = serde_json::to_string(value).unwrap();
                let escape = |unit: u16| match u8::try_from(unit) {
                    Ok(byte) if byte.is_ascii() => char::from(byte).to_string(),
                    _ => format!("\\u{unit:04x}"),
                };
                if *ascii { text.encode_utf16().map(escape).collect::<String>().into() } else { text.into() }
            }
        }
    }

    /// Whether a reader of `log` could still tell the value.
    fn shows(&self, value: &str, log: &[u8]) -> bool {
        let Self::Base64 { url_safe, .. } = self else {
            let quotes: &[u8] = if matches!(self, Self::Json { .. }) { b"\"" } else { b"" };
            let leak = self.of(value);
            let leak = leak.strip_prefix(quotes).and_then(|leak| leak.strip_suffix(quotes)).unwrap();
            return memmem::find(log, leak).is_some();
        };
        // Decode from each place on, and look for the value.
        let is_base64 = |byte: &u8| byte.is_ascii_alphanumeric() || b"+/-_".contains(byte);
        let engine = if *url_safe { &URL_SAFE_LOOSE } else { &STANDARD_LOOSE };
        let log: Vec<_> = log.iter().copied().filter(|byte| !b"\r\n".contains(byte)).collect();
        log.split(|byte| !is_base64(byte)).any(|word| {
            (0..4.min(word.len())).any(|from| {
                let word = &word[from..];
                let whole = &word[..word.len() - usize::from(word.len() % 4 == 1)];
                engine.decode(whole).is_ok_and(|bytes| memmem::find(&bytes, value.as_bytes()).is_some())
            })
        })
    }
}

/// In lines of so many characters, each but the last with this end.
fn broken(encoded: &str, (width, end): (usize, &str)) -> String {
    let lines = encoded.as_bytes().chunks(width).map(|line| std::str::from_utf8(line).unwrap());
    lines.collect::<Vec<_>>().join(end)
}

fn lines() -> impl Strategy<Value = (usize, &'static str)> {
    (prop::sample::select(&[64, 76]), prop::sample::select(&["\n", "\r\n"]))
}

static STANDARD_LOOSE: std::sync::LazyLock<base64::engine::GeneralPurpose> =
    std::sync::LazyLock::new(|| loose(&base64::alphabet::STANDARD));
static URL_SAFE_LOOSE: std::sync::LazyLock<base64::engine::GeneralPurpose> =
    std::sync::LazyLock::new(|| loose(&base64::alphabet::URL_SAFE));

fn loose(alphabet: &base64::alphabet::Alphabet) -> base64::engine::GeneralPurpose {
    let config = base64::engine::GeneralPurposeConfig::new()
        .with_decode_padding_mode(base64::engine::DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true);
    base64::engine::GeneralPurpose::new(alphabet, config)
}

fn leak() -> impl Strategy<Value = Leak> {
    let around = |most| prop::collection::vec(any::<u8>(), 0..most);
    let base64 = |most| (around(most), around(most), any::<bool>());
    prop_oneof![
        Just(Leak::Plain),
        base64(5).prop_map(|(before, after, url_safe)| Leak::Base64 { before, after, url_safe, lines: None }),
        (base64(200), lines()).prop_map(|((before, after, url_safe), lines)| {
            Leak::Base64 { before, after, url_safe, lines: Some(lines) }
        }),
        any::<bool>().prop_map(|form| Leak::Url { form }),
        any::<bool>().prop_map(|ascii| Leak::Json { ascii }),
    ]
}

/// Without blanks at its ends and without the mark's own star.
fn value() -> impl Strategy<Value = String> {
    prop_oneof![
        "[!-)+-~][ -)+-~]{2,40}[!-)+-~]",
        "[a-c]{4,12}",
        "[!-)+-~é-ü😀-😏]{4,30}",
        "[A-Za-z0-9+/]{600,1400}",
        // An inner newline; each of its lines is long enough.
        "[!-)+-~]{4,20}\n[!-)+-~]{4,20}",
    ]
    .prop_map(|text| text.trim().to_owned())
    .prop_filter("too short", |text| text.len() >= SHORTEST)
}

/// The log as it was written and as it is shown, read in pieces of these sizes.
fn shown(masks: &Arc<Masks>, log: &[u8], sizes: &[usize]) -> Vec<u8> {
    let mut masker = Masker::new(Arc::clone(masks));
    let (mut rest, mut shown) = (log, Vec::new());
    for &size in sizes.iter().cycle() {
        let (chunk, later) = rest.split_at(size.min(rest.len()));
        shown.extend_from_slice(masker.feed(chunk));
        rest = later;
        if rest.is_empty() {
            break;
        }
    }
    shown.extend_from_slice(masker.finish());
    shown
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]
    #[test]
    fn no_masked_value_is_shown_in_any_covered_form_wherever_it_is_cut(
        values in prop::collection::vec(value(), 1..4),
        leaks in prop::collection::vec((any::<prop::sample::Index>(), leak(), "[ a-z:=\n]{0,12}"), 1..6),
        sizes in prop::collection::vec(1_usize..40, 1..8),
    ) {
        let masks = Arc::new(Masks::default());
        for value in &values {
            masks.add(value.as_bytes()).unwrap();
        }
        let mut log = Vec::new();
        for (which, leak, between) in &leaks {
            let value = which.get(&values);
            log.extend(leak.of(value));
            log.extend(b" ");
            log.extend(between.bytes());
        }
        let shown = shown(&masks, &log, &sizes);
        for (which, leak, _) in &leaks {
            let value = which.get(&values);
            prop_assert!(!leak.shows(value, &shown), "{value:?} as {leak:?} in {:?}", String::from_utf8_lossy(&shown));
            for line in value.lines() {
                prop_assert!(memmem::find(&shown, line.as_bytes()).is_none(), "{line:?} in {:?}", String::from_utf8_lossy(&shown));
            }
        }
    }

    /// As by the other stream of the command.
    #[test]
    fn a_value_that_is_named_meanwhile_takes_the_mask_off_no_other(
        value in value(),
        leak in leak(),
        at in any::<prop::sample::Index>(),
        sizes in prop::collection::vec(1_usize..100, 1..8),
    ) {
        let masks = Arc::new(Masks::default());
        masks.add(value.as_bytes()).unwrap();
        let log = [b"said: ", &*leak.of(&value), b" .\n"].concat();
        let (before, after) = log.split_at(at.index(log.len()));
        let mut masker = Masker::new(Arc::clone(&masks));
        let mut shown = masker.feed(before).to_vec();
        masks.add(b"another one, of no matter").unwrap();
        let mut rest = after;
        for &size in sizes.iter().cycle() {
            if rest.is_empty() {
                break;
            }
            let (chunk, later) = rest.split_at(size.min(rest.len()));
            shown.extend_from_slice(masker.feed(chunk));
            rest = later;
        }
        shown.extend_from_slice(masker.finish());
        prop_assert!(!leak.shows(&value, &shown), "{value:?} as {leak:?} in {:?}", String::from_utf8_lossy(&shown));
    }

    /// Six bytes in a row are eight characters: of a value's own, some three at its ends and at a break stay.
    #[test]
    fn nearly_nothing_of_a_value_is_shown_where_its_base64_is_broken_behind_any_prefix(
        value in "[A-Za-z0-9_]{12,200}",
        before in prop::collection::vec(any::<u8>(), 0..300),
        after in prop::collection::vec(any::<u8>(), 0..100),
        lines in lines(),
        said in "[ -~]{0,20}",
        sizes in prop::collection::vec(1_usize..200, 1..8),
    ) {
        let masks = Arc::new(Masks::default());
        masks.add(value.as_bytes()).unwrap();
        let leak = |value: &str| Leak::Base64 { before: before.clone(), after: after.clone(), url_safe: false, lines: Some(lines) }.of(value);
        let log = [said.as_bytes(), b" ", &leak(&value), b"\n", b"the end\n"].concat();
        let shown = shown(&masks, &log, &sizes);
        let any = Leak::Base64 { before: vec![], after: vec![], url_safe: false, lines: Some(lines) };
        for part in value.as_bytes().windows(6).map(|part| std::str::from_utf8(part).unwrap()) {
            prop_assert!(!any.shows(part, &shown), "{part} of {value} in {:?}", String::from_utf8_lossy(&shown));
        }
        let breaks = |log: &[u8]| memchr::memchr_iter(b'\n', log).count();
        prop_assert_eq!(breaks(&shown), breaks(&log), "every line is still there");
    }

    #[test]
    fn what_holds_no_secret_is_shown_as_it_is(
        log in prop::collection::vec(prop_oneof![Just(b'\n'), Just(b':'), b'a'..b'e', any::<u8>()], 0..300),
        sizes in prop::collection::vec(1_usize..40, 1..8),
    ) {
        let masks = Arc::new(Masks::default());
        masks.add(b"hunter22").unwrap();
        masks.add(b"abcdabce-not-there").unwrap();
        prop_assert_eq!(shown(&masks, &log, &sizes), log);
    }
}

#[test]
fn only_so_many_values_are_masked_and_the_others_are_refused() {
    let masks = Masks::default();
    let mut refused = None;
    for number in 0..200_u32 {
        let value = format!("{number:04}").repeat(500);
        if let Err(why) = masks.add(value.as_bytes()) {
            refused = Some((number, why));
            break;
        }
    }
    let (number, why) = refused.expect("it is bounded");
    assert_eq!(why, Unmaskable::TooMany);
    assert!(number >= 10, "a dozen private keys fit: {number}");
    assert_eq!(Arc::new(masks).mask(&"0000".repeat(500)), "***", "those before it are masked");
}

#[test]
fn lines_of_base64_are_masked_as_the_usual_commands_break_them() {
    let value = "0123456789abcdefghijklmnopqrstuvwxyz-".repeat(4);
    let masks = Arc::new(Masks::default());
    masks.add(value.as_bytes()).unwrap();
    for width in [64, 76] {
        let encoded = STANDARD.encode(format!("{value}\n"));
        let lines: Vec<_> =
            encoded.as_bytes().chunks(width).map(|line| String::from_utf8_lossy(line)).collect();
        let shown = masks.mask(&lines.join("\n"));
        assert!(shown.len() < 30, "{shown}");
    }
}
