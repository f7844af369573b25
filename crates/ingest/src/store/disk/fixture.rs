//! The store that `tests/fixtures/store-v3` is: written by the version that brought format 3, several segments of
//! it, before there were index files. Whatever is changed, it opens and reads as it was written.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use ottoscaler_proto::v1::WorkerMetadata;

use crate::ids::{TaskId, WorkerId};
use crate::line::{Block, Content, Extra, LinesBuilder, Mark, Sequence, Source};
use crate::worker::{Change, Closing, Numbering, Record, Registration};

/// Where it is kept.
pub(super) fn path() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/store-v3"))
}

fn worker(name: &str) -> WorkerId {
    WorkerId::try_from(name).unwrap()
}

fn registered(name: &str, task: &str) -> Change {
    let metadata = WorkerMetadata {
        pod_name: format!("pod-{name}"),
        namespace: "ci".to_owned(),
        labels: [("team".to_owned(), "build".to_owned())].into(),
        ..WorkerMetadata::default()
    };
    Change::Registered(Registration {
        worker: worker(name),
        task: TaskId::try_from(task).unwrap(),
        attempt: 1,
        incarnation: Bytes::copy_from_slice(name.as_bytes()),
        session_id: format!("session of {name}").into(),
        metadata: Arc::new(metadata),
    })
}

fn appended(name: &str, numbering: Numbering, first: u64, content: Content) -> Change {
    Change::Appended {
        worker: worker(name),
        numbering,
        block: Block { first: Sequence::new(first), content },
    }
}

/// Lines of all kinds: of every source, with and without a newline, with what few lines carry, and not UTF-8.
fn lines(name: &str, first: u64, count: u64) -> Content {
    let mut builder = LinesBuilder::default();
    for sequence in first..first + count {
        let source = [Source::Stdout, Source::Stderr, Source::System][usize::try_from(sequence % 3).unwrap()];
        let mut text =
            format!("{name} says {sequence} {}", "=".repeat(usize::try_from(sequence % 41).unwrap()))
                .into_bytes();
        if sequence % 7 == 0 {
            text.extend_from_slice(b"\xff\xfe");
        }
        let extra = if sequence % 11 == 0 {
            Extra {
                level: "warn".to_owned(),
                source: "compiler".to_owned(),
                metadata: BTreeMap::from([("step".to_owned(), sequence.to_string())]),
            }
        } else {
            Extra::default()
        };
        let flags = u32::try_from(sequence % 4).unwrap();
        builder.push(
            1_700_000_000_000_000_000 + i64::try_from(sequence).unwrap(),
            Mark::new(source, flags),
            &text,
            extra,
        );
    }
    Content::Lines(builder.finish())
}

fn gap(last: u64, reason: &str) -> Content {
    Content::Gap { last: Sequence::new(last), reason: reason.into() }
}

fn closed(name: &str, last: u64, exit_code: i32, reason: &str) -> Change {
    let closing = Closing { exit_code: Some(exit_code), signal: 0, reason: reason.into() };
    Change::Closed { worker: worker(name), closing, last: Sequence::new(last) }
}

/// What it holds, by commit.
pub(super) fn groups() -> Vec<Vec<Record>> {
    let mut changes =
        vec![vec![registered("numbered", "task"), registered("other", "task"), registered("plain", "plain")]];
    for round in 0..40 {
        let first = round * 10 + 1;
        let mut group = vec![appended("numbered", Numbering::Client, first, lines("numbered", first, 10))];
        if round % 3 == 0 {
            let first = round / 3 * 2 + 1;
            group.push(appended("plain", Numbering::Server, first, lines("plain", first, 2)));
        }
        changes.push(group);
    }
    changes.push(vec![
        appended("other", Numbering::Client, 1, lines("other", 1, 5)),
        appended("other", Numbering::Client, 6, gap(9, "buffer_full")),
        appended("other", Numbering::Client, 10, lines("other", 10, 5)),
    ]);
    changes.push(vec![closed("other", 14, 137, "agent_gone")]);
    changes.push(vec![appended("numbered", Numbering::Client, 401, lines("numbered", 401, 7))]);
    changes.push(vec![closed("numbered", 407, 0, "")]);
    let at = |at_ns| move |change| Record { at_ns, change };
    (0..).zip(changes).map(|(time, group)| group.into_iter().map(at(time * 1000)).collect()).collect()
}
