//! The lines of one worker, from log-ingest to here: live, in order, each once.
//!
//! A tail that breaks is asked for again behind the last line shown.

use std::io::{self, Write};
use std::time::Duration;

use anyhow::{Context, Result};
use ottoscaler_proto::v1::log_query_service_client::LogQueryServiceClient;
use ottoscaler_proto::v1::tail_request::Of;
use ottoscaler_proto::v1::{EntryFlag, LogEntry, TailRequest, TailResponse};
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Status};

use super::{print, remark};
use crate::ids::WorkerId;

/// A connection is made within this, or it is not.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// A connection over which nothing comes for so long is asked, and given up after as long again.
const KEEPALIVE: Duration = Duration::from_secs(10);
/// Between tries to reach log-ingest again.
const PAUSE: Duration = Duration::from_millis(500);
/// A message holds 64 KiB of lines, or one long line.
const MESSAGE_BYTES: usize = 8 << 20;

/// What asks log-ingest; connects when it is first used.
pub(super) fn client(url: &str) -> Result<LogQueryServiceClient<Channel>> {
    let endpoint = Endpoint::from_shared(url.to_owned());
    let channel = endpoint
        .context("--ingest-url (OTTO_INGEST_URL) is no URL of a log-ingest")?
        .connect_timeout(CONNECT_TIMEOUT)
        .http2_keep_alive_interval(KEEPALIVE)
        .keep_alive_timeout(KEEPALIVE)
        .keep_alive_while_idle(true)
        .connect_lazy();
    Ok(LogQueryServiceClient::new(channel).max_decoding_message_size(MESSAGE_BYTES))
}

/// See the module.
pub(super) struct Lines {
    client: LogQueryServiceClient<Channel>,
    worker: WorkerId,
    /// Before each line, where more than one worker's are shown.
    prefix: Option<String>,
    /// What is looked for.
    wanted: Option<String>,
    found: bool,
    next: i64,
    /// Whether the line before goes on: on stdout, on stderr.
    goes_on: [bool; 2],
}

impl Lines {
    pub(super) fn new(
        client: LogQueryServiceClient<Channel>,
        worker: WorkerId,
        prefix: Option<String>,
        wanted: Option<String>,
    ) -> Self {
        Self { client, worker, prefix, wanted, found: false, next: 1, goes_on: [false; 2] }
    }

    /// Shows them until the log is closed. Says whether one of them holds what is looked for.
    pub(super) async fn follow(mut self) -> Result<bool> {
        let mut said = false;
        loop {
            match self.tail().await? {
                Ok(()) => return Ok(self.found),
                Err(status) if is_final(&status) => {
                    let worker = &self.worker;
                    anyhow::bail!("log-ingest does not give the lines of {worker}: {}", status.message());
                }
                Err(status) if !said => {
                    said = true;
                    remark(&format!("log-ingest is away: {}", status.message()));
                }
                Err(_) => {}
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// One tail: to its end, or to what ended it.
    async fn tail(&mut self) -> Result<Result<(), Status>> {
        let request = TailRequest {
            of: Some(Of::WorkerId(self.worker.to_string())),
            from_sequence: self.next,
            follow: true,
            ..TailRequest::default()
        };
        let mut stream = match self.client.tail_logs(request).await {
            Ok(answer) => answer.into_inner(),
            Err(status) => return Ok(Err(status)),
        };
        loop {
            match stream.message().await {
                Ok(Some(piece)) => self.show(&piece).context("cannot write what the command wrote")?,
                Ok(None) => return Ok(Ok(())),
                Err(status) => return Ok(Err(status)),
            }
        }
    }

    fn show(&mut self, piece: &TailResponse) -> io::Result<()> {
        let (mut out, mut err) = (Vec::new(), Vec::new());
        for entry in &piece.entries {
            self.next = entry.gap.as_ref().map_or(entry.sequence, |gap| gap.last_sequence) + 1;
            self.found |= self.wanted.as_ref().is_some_and(|wanted| entry.message.contains(wanted.as_str()));
            match &entry.gap {
                Some(gap) => {
                    let (first, last, reason) = (entry.sequence, gap.last_sequence, &gap.reason);
                    err.extend(format!("[lines {first} to {last} are missing: {reason}]\n").into_bytes());
                }
                None if entry.source == "stdout" => self.append(&mut out, entry, 0),
                None => self.append(&mut err, entry, 1),
            }
        }
        print(&out)?;
        io::stderr().write_all(&err)
    }

    /// The bytes as the command wrote them.
    fn append(&mut self, to: &mut Vec<u8>, entry: &LogEntry, stream: usize) {
        let has = |flag: EntryFlag| u32::try_from(i32::from(flag)).is_ok_and(|bit| entry.flags & bit != 0);
        if let Some(prefix) = self.prefix.as_ref().filter(|_| !self.goes_on[stream]) {
            to.extend_from_slice(prefix.as_bytes());
        }
        let bytes = if entry.raw.is_empty() { entry.message.as_bytes() } else { &entry.raw };
        to.extend_from_slice(bytes);
        self.goes_on[stream] = has(EntryFlag::Continues);
        if !self.goes_on[stream] && !has(EntryFlag::NoEol) {
            to.push(b'\n');
        }
    }
}

/// Asking again would bring the same answer.
fn is_final(status: &Status) -> bool {
    matches!(
        status.code(),
        Code::InvalidArgument
            | Code::Unimplemented
            | Code::DataLoss
            | Code::PermissionDenied
            | Code::Unauthenticated
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(prefix: Option<&str>) -> Lines {
        let client = client("http://127.0.0.1:1").unwrap();
        Lines::new(client, "w".parse().unwrap(), prefix.map(str::to_owned), Some("needle".to_owned()))
    }

    fn entry(message: &str, flags: u32) -> LogEntry {
        LogEntry { message: message.to_owned(), source: "stdout".to_owned(), flags, ..LogEntry::default() }
    }

    #[tokio::test]
    async fn bytes_are_as_the_command_wrote_them_and_a_prefix_stands_before_whole_lines() {
        let mut lines = lines(Some("0 | "));
        let mut out = Vec::new();
        let raw = LogEntry { raw: vec![0xff, b'x'].into(), ..entry("?x", 0) };
        for (entry, stream) in [(entry("lo", 1), 0), (entry("ng", 0), 0), (raw, 0), (entry("last", 2), 0)] {
            lines.append(&mut out, &entry, stream);
        }
        assert_eq!(out, b"0 | long\n0 | \xffx\n0 | last");
    }

    #[tokio::test]
    async fn the_next_line_is_behind_the_last_one_or_the_gap() {
        let mut lines = lines(None);
        let gap = ottoscaler_proto::v1::Gap { last_sequence: 9, reason: "buffer_full".to_owned() };
        let mut piece = TailResponse::default();
        piece.entries.push(LogEntry { sequence: 3, gap: Some(gap), ..LogEntry::default() });
        lines.show(&piece).unwrap();
        assert_eq!((lines.next, lines.found), (10, false));
        piece.entries = vec![LogEntry { sequence: 10, ..entry("a needle\u{20}here", 0) }];
        lines.show(&piece).unwrap();
        assert_eq!((lines.next, lines.found), (11, true));
    }
}
