//! How a command ended, as the server is told when its log is complete.

use ottoscaler_proto::v1::WorkerCompletion;

/// How the command ended, once it has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Finish {
    /// Of the command.
    pub exit_code: i32,
    /// 0 for none.
    pub signal: i32,
    /// Lines that it printed.
    pub lines: u64,
    /// Bytes of these.
    pub bytes: u64,
}

impl Finish {
    /// Says it to the server, of a log whose last line is `last` and which is whole.
    pub(crate) fn completion(self, worker_id: &str, last: u64) -> WorkerCompletion {
        WorkerCompletion {
            worker_id: worker_id.to_string(),
            exit_code: self.exit_code,
            signal: self.signal,
            last_sequence: last.cast_signed(),
            lines: self.lines.cast_signed(),
            bytes: self.bytes.cast_signed(),
            reason: String::new(),
            crc32c: None,
            exit_code_unknown: false,
        }
    }
}
