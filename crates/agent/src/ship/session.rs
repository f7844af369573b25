//! What the server's answers mean for the lines that wait; pure.

use std::time::Duration;

use ottoscaler_proto::v1::LogResponse;
use ottoscaler_proto::v1::log_response::Status;

use crate::buffer::Buffer;

/// Where the server asks to send again and does not say when.
const DEFAULT_DELAY: Duration = Duration::from_millis(100);

/// No server may make an agent wait for longer.
const LONGEST_DELAY: Duration = Duration::from_secs(30);

/// What is to be done after an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Next {
    /// Go on sending.
    Continue,
    /// Send again, but only after this.
    Pause(Duration),
    /// The stream and the server disagree: connect and register again.
    Reconnect,
    /// The server will take no more of this log.
    Stop(String),
}

/// Takes an answer to a batch.
pub fn step(buffer: &mut Buffer, response: &LogResponse) -> Next {
    // An answer to what was never sent: to believe it could let go of lines that nobody has.
    let answers_what_was_sent = u64::try_from(response.sequence).is_ok_and(|at| at <= buffer.last_offered());
    if !answers_what_was_sent {
        return Next::Reconnect;
    }
    match response.status() {
        Status::Ack => {
            buffer.ack(response.sequence.max(0).cast_unsigned());
            Next::Continue
        }
        Status::Retry => retry(buffer, response),
        Status::Drop => refused(buffer, response),
    }
}

fn retry(buffer: &mut Buffer, response: &LogResponse) -> Next {
    // Behind what it acknowledged: the server has lost lines, and registration finds out which.
    if response.sequence.max(0).cast_unsigned() < buffer.acked() {
        return Next::Reconnect;
    }
    buffer.rewind();
    Next::Pause(delay(response))
}

/// After which what is asked for may be sent again.
pub(super) fn delay(response: &LogResponse) -> Duration {
    let delay = part(&response.message, "retry_after_ms").and_then(|text| text.parse().ok());
    delay.map_or(DEFAULT_DELAY, Duration::from_millis).min(LONGEST_DELAY)
}

/// Why something is to be sent again, in the server's word.
pub(super) fn reason(response: &LogResponse) -> Option<&str> {
    part(&response.message, "reason")
}

/// Whether only a line before it is missing. That is no obstacle: it comes next.
pub(super) fn is_gap(response: &LogResponse) -> bool {
    reason(response) == Some("gap")
}

/// Whether the log takes no more lines.
pub(super) fn is_closed(response: &LogResponse) -> bool {
    says_closed(&response.message)
}

/// The same, of the message alone.
pub(crate) fn says_closed(message: &str) -> bool {
    part(message, "reason") == Some("log_closed")
}

fn refused(buffer: &mut Buffer, response: &LogResponse) -> Next {
    match part(&response.message, "reason") {
        _ if is_closed(response) => Next::Stop("the log was closed".to_owned()),
        // One line among others: the server has put a gap in its place.
        Some("message_too_large") => {
            buffer.refuse_line(response.sequence.max(0).cast_unsigned());
            Next::Continue
        }
        _ => {
            buffer.refuse(response.sequence.max(0).cast_unsigned());
            Next::Continue
        }
    }
}

/// The value of a part of `name=value;name=value`.
fn part<'a>(message: &'a str, name: &str) -> Option<&'a str> {
    message.split(';').find_map(|part| part.trim().strip_prefix(name)?.strip_prefix('='))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::batch::Source;
    use crate::buffer::WhenFull;
    use crate::line::Ending;
    use crate::spool::Spool;

    /// Three batches of one line each, all in flight.
    fn in_flight() -> Buffer {
        let mut buffer = Buffer::new(1 << 20, WhenFull::DropOldest, Spool::none());
        for _ in 0..3 {
            buffer.push(0, Source::Stdout, b"x", Ending::Newline);
            buffer.take_all();
        }
        buffer
    }

    fn answer(status: Status, message: &str, sequence: i64) -> LogResponse {
        LogResponse { status: status.into(), message: message.into(), sequence, crc32c: None }
    }

    #[test]
    fn an_ack_lets_everything_up_to_it_go() {
        let mut buffer = in_flight();
        assert_eq!(step(&mut buffer, &answer(Status::Ack, "", 2)), Next::Continue);
        assert_eq!(buffer.acked(), 2);
        assert!(!buffer.is_drained());
        step(&mut buffer, &answer(Status::Ack, "", 3));
        assert!(buffer.is_drained());
    }

    #[test]
    fn a_retry_goes_back_and_waits_as_long_as_the_server_says() {
        let mut buffer = in_flight();
        buffer.ack(1);
        let retry = answer(Status::Retry, "reason=queue_full;retry_after_ms=250", 1);
        assert_eq!(step(&mut buffer, &retry), Next::Pause(Duration::from_millis(250)));
        assert_eq!(buffer.take().map(|piece| piece.to_wire("w").first_sequence), Some(2));
    }

    #[test]
    fn a_retry_from_before_what_was_acknowledged_means_that_the_server_forgot() {
        let mut buffer = in_flight();
        buffer.ack(2);
        assert_eq!(step(&mut buffer, &answer(Status::Retry, "reason=gap", 0)), Next::Reconnect);
    }

    #[test]
    fn an_answer_to_what_was_never_sent_is_not_believed() {
        let mut buffer = in_flight();
        buffer.push(0, Source::Stdout, b"not sent yet", Ending::Newline);
        for (status, sequence) in [(Status::Ack, 4), (Status::Ack, -1), (Status::Drop, 4), (Status::Retry, 4)]
        {
            let response = answer(status, "reason=message_too_large", sequence);
            assert_eq!(step(&mut buffer, &response), Next::Reconnect, "{status:?} {sequence}");
        }
        assert_eq!((buffer.acked(), buffer.dropped()), (0, 0));
        assert_eq!(step(&mut buffer, &answer(Status::Ack, "", 3)), Next::Continue);
    }

    #[test]
    fn a_refused_batch_becomes_a_gap_so_that_the_rest_can_go_on() {
        let mut buffer = in_flight();
        step(&mut buffer, &answer(Status::Drop, "reason=invalid_batch;detail=lengths", 1));
        let sent = buffer.take().map(|piece| piece.to_wire("w"));
        assert_eq!(sent.and_then(|batch| batch.gap).map(|gap| gap.last_sequence), Some(1));
        assert_eq!(buffer.dropped(), 1);
    }

    #[test]
    fn a_closed_log_ends_the_shipping() {
        let stop = step(&mut in_flight(), &answer(Status::Drop, "reason=log_closed", 2));
        assert!(matches!(stop, Next::Stop(_)));
    }
}
