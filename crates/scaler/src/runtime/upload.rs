//! What `otto-agent upload` says to whoever runs it: its exit code, and its log.

use std::time::Duration;

use serde::Deserialize;

/// What it exits with where somebody else holds the spool.
pub(super) const HELD: i32 = 75;

/// An upload keeps its own time; one that is still there so long after it hangs.
pub(super) const MARGIN: Duration = Duration::from_secs(5);

/// So much is looked at of what an upload said.
pub(super) const SAID_BYTES: usize = 16 << 10;

/// A line of an agent's log.
#[derive(Deserialize)]
struct Line {
    message: String,
}

/// The messages in a log, the last first.
pub(super) fn messages(log: &[u8]) -> impl Iterator<Item = String> {
    let lines = log.rsplit(|byte| *byte == b'\n');
    lines.filter_map(|line| serde_json::from_slice::<Line>(line).ok()).map(|line| line.message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_those_of_whole_lines_and_the_last_comes_first() {
        let log = b"cut\"}\n{\"message\":\"first\"}\n{\"level\":\"ERROR\",\"message\":\"last\"}\nno json\n";
        assert_eq!(messages(log).collect::<Vec<_>>(), ["last", "first"]);
    }
}
