//! Masking: no value that was named shows in the output, wherever reads cut the input; where reads cut it changes
//! nothing; and without a value nothing is changed.
//!
//! Input: sizes of three reads; a line of values, with a byte 0xFF between them; the stream.

#![no_main]

use std::sync::Arc;

use libfuzzer_sys::fuzz_target;
use otto_agent::mask::{Masker, Masks, SHORTEST};
use ottoscaler_fuzz::cut;

/// What the agent itself writes.
const OWN: &[u8] = b"::add-mask::***";

fuzz_target!(|input: &[u8]| {
    let Some((sizes, input)) = input.split_first_chunk::<3>() else { return };
    let end = input.iter().position(|byte| *byte == b'\n').unwrap_or(input.len());
    let (values, stream) = (&input[..end], input.get(end + 1..).unwrap_or_default());
    // Few and short ones: an automaton is built of each set of them, which is most of what an input costs.
    let values = values.split(|byte| *byte == 0xFF).map(<[u8]>::trim_ascii);
    let values: Vec<_> = values.filter(|value| value.len() <= 64).take(3).collect();
    let masks = Masks::default();
    for value in &values {
        // What cannot be masked is not.
        let _ = masks.add(value);
    }
    let whole = shown(masks.clone(), [stream].into_iter());
    assert_eq!(whole, shown(masks, cut(stream, sizes)), "reads change the output");
    for value in values.iter().filter(|value| is_masked(value)) {
        assert!(!contains(&whole, value), "{} shows", value.escape_ascii());
    }
    if values.iter().all(|value| value.len() < SHORTEST) && !contains(stream, b"::add-mask::") {
        assert_eq!(whole, stream);
    }
});

/// The output of a stream that is read so.
fn shown<'a>(masks: Masks, reads: impl Iterator<Item = &'a [u8]>) -> Vec<u8> {
    let mut masker = Masker::new(Arc::new(masks));
    let mut shown = Vec::new();
    for read in reads {
        shown.extend_from_slice(masker.feed(read));
    }
    shown.extend_from_slice(masker.finish());
    shown
}

/// Long enough, in one line, and nothing that the agent itself writes.
fn is_masked(value: &[u8]) -> bool {
    value.len() >= SHORTEST && !value.contains(&b'*') && !value.contains(&b'\r') && !contains(OWN, value)
}

fn contains(text: &[u8], part: &[u8]) -> bool {
    text.windows(part.len()).any(|window| window == part)
}
