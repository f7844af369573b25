//! What an event would get from its place in the stream, written out.
//!
//! An event that names no request or task gets them from its entry's id. Put back on the stream it has
//! another id and would be another request; pinned, it stays the one that its producer made, also for
//! whoever puts it back twice (P2).

use super::{RawEntry, event_task};

/// The fields of `entry`, and behind them those that make it the same request anywhere else.
pub fn pinned(entry: RawEntry) -> Vec<(Vec<u8>, Vec<u8>)> {
    let given = |names: &[&[u8]]| {
        entry.fields.iter().any(|(name, value)| names.contains(&name.as_slice()) && !value.is_empty())
    };
    let mut pins = Vec::new();
    if !given(&[b"request_id"]) {
        pins.push((b"request_id".to_vec(), entry.id.to_string().into_bytes()));
    }
    // A scale_down without a task means a group, or nothing.
    let is_up = entry.fields.iter().any(|(name, value)| name == b"type" && value == b"scale_up");
    if is_up && !given(&[b"task_id", b"job_id"]) {
        pins.push((b"task_id".to_vec(), event_task(entry.id).as_str().as_bytes().to_vec()));
    }
    let mut fields = entry.fields;
    fields.append(&mut pins);
    fields
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;
    use std::time::Duration;

    use super::*;
    use crate::event::{Event, EventPolicy, RunDefaults};
    use crate::record::Record;

    fn entry(id: &str, fields: &[(&str, &str)]) -> RawEntry {
        let fields = fields.iter().map(|(n, v)| (n.as_bytes().to_vec(), v.as_bytes().to_vec())).collect();
        RawEntry { id: id.parse().unwrap(), fields }
    }

    fn record(entry: &RawEntry) -> Record {
        let policy = EventPolicy {
            run: RunDefaults::default(),
            timeout: Duration::from_secs(1),
            max_workers: NonZeroU32::MIN,
        };
        Event::parse(entry, &policy).unwrap().into()
    }

    #[test]
    fn p2_an_event_at_another_place_of_the_stream_is_the_same_request() {
        let up = [("type", "scale_up"), ("pod_count", "1"), ("command", "true")];
        for fields in [
            &up[..],
            &[up[0], up[1], up[2], ("task_id", "t")],
            &[up[0], up[1], up[2], ("job_id", "t"), ("request_id", "r")],
            &[up[0], up[1], up[2], ("task_id", ""), ("request_id", "")],
            &[("type", "scale_down"), ("group", "g")],
        ] {
            let first = entry("5-0", fields);
            let again = RawEntry { id: "9-0".parse().unwrap(), fields: pinned(first.clone()) };
            assert_eq!(record(&first).id(), record(&again).id(), "{fields:?}");
            let third = RawEntry { id: "11-0".parse().unwrap(), fields: pinned(again.clone()) };
            assert_eq!(third.fields, again.fields, "what is pinned stays as it is");
        }
    }

    #[test]
    fn an_event_that_names_everything_is_left_as_it_is() {
        let entry = entry("5-0", &[("type", "scale_up"), ("task_id", "t"), ("request_id", "r")]);
        assert_eq!(pinned(entry.clone()), entry.fields);
    }
}
