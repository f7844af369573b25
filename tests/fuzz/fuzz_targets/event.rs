//! Entries of the stream → events: never a panic; what is accepted keeps its bounds and comes back from its record
//! the same; what is refused is refused at any place of the stream; and an event that is put back is the same
//! request.
//!
//! Input: fields, each ended by a byte 0xFF, name and value with `=` between them.

#![no_main]

use std::num::NonZeroU32;
use std::sync::LazyLock;
use std::time::Duration;

use libfuzzer_sys::fuzz_target;
use ottoscaler::event::{Event, EventPolicy, RawEntry, RunDefaults, ScaleUp, pinned};
use ottoscaler::ids::EntryId;
use ottoscaler::record::Record;
use serde::Serialize;
use serde::de::DeserializeOwned;

const MAX_WORKERS: u32 = 1000;

static POLICY: LazyLock<EventPolicy> = LazyLock::new(|| EventPolicy {
    run: RunDefaults { image: None, command: None },
    timeout: Duration::from_secs(1),
    max_workers: NonZeroU32::new(MAX_WORKERS).expect("it is not zero"),
});

fuzz_target!(|input: &[u8]| {
    let entry = RawEntry {
        id: id("1700000000000-7"),
        fields: input.split(|byte| *byte == 0xFF).map(field).collect(),
    };
    let again = RawEntry { id: id("1800000000000-0"), fields: pinned(entry.clone()) };
    let parsed = Event::parse(&entry, &POLICY);
    let elsewhere = Event::parse(&again, &POLICY);
    assert_eq!(pinned(again.clone()), again.fields, "what is pinned stays as it is");
    match (parsed, elsewhere) {
        (Ok(event), Ok(elsewhere)) => {
            check(&event);
            assert_eq!(Record::from(event).id(), Record::from(elsewhere).id());
        }
        (Err(refused), Err(elsewhere)) => {
            assert!(!refused.reason().is_empty() && !refused.field().contains(char::is_control));
            assert_eq!(refused, elsewhere);
        }
        (parsed, elsewhere) => panic!("{parsed:?} at its first place, and {elsewhere:?} at another"),
    }
});

fn field(text: &[u8]) -> (Vec<u8>, Vec<u8>) {
    let at = text.iter().position(|byte| *byte == b'=').unwrap_or(text.len());
    (text[..at].to_vec(), text.get(at + 1..).unwrap_or_default().to_vec())
}

fn id(text: &str) -> EntryId {
    text.parse().expect("an id")
}

fn check(event: &Event) {
    match event {
        Event::ScaleUp(up) => {
            check_bounds(up);
            assert_eq!(kept(&**up), **up);
        }
        Event::ScaleDown(down) => assert_eq!(kept(down), *down),
    }
}

fn check_bounds(up: &ScaleUp) {
    assert!(up.count.get() <= MAX_WORKERS);
    assert!(up.max_attempts.get() <= 100);
    let words = up.run.command.words();
    assert!(!words[0].is_empty() && words.iter().all(|word| !word.contains('\0')));
    for (name, value) in up.run.env.iter().chain(&up.run.secret_env) {
        assert!(!name.is_empty() && !name.contains(['=', '\0']) && !value.contains('\0'), "{name}");
        assert!(!name.starts_with("OTTO_"), "{name}");
    }
    for clock in [up.clocks.queue, up.clocks.pending, Some(up.clocks.run)].into_iter().flatten() {
        assert!((Duration::from_secs(1)..=Duration::from_hours(24 * 366)).contains(&clock));
    }
}

/// As a record gives it back.
fn kept<T: Serialize + DeserializeOwned>(event: &T) -> T {
    let json = serde_json::to_string(event).expect("all keys are text");
    serde_json::from_str(&json).expect("it was just written")
}
