//! Entries that are on their way, each with an answer of its own, in order; pure.
//!
//! A server that asks for one of them again may have stored those behind it, or may ask for all of these
//! again as well. So nothing more is sent until all that is in flight is answered, and then exactly what was
//! asked for goes again: that is right for both, and doubles nothing.

use std::collections::VecDeque;
use std::time::Duration;

use ottoscaler_proto::v1::log_response::Status;
use ottoscaler_proto::v1::{LogEntry, LogResponse};

use super::session;

/// What an answer asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// Nothing: the entry is stored.
    Stored,
    /// To send the entry again, after this.
    Again(Duration),
    /// To let the line of this sequence go: it will never be stored.
    Refused(u64),
    /// To send no more of this log.
    Stop(String),
    /// It answers nothing that was sent.
    Stray,
}

/// Entries of which none is let go before all are answered.
#[derive(Debug)]
pub struct Flight {
    entries: Vec<LogEntry>,
    /// Positions, in order: not sent yet; sent and not answered; asked for again.
    unsent: VecDeque<usize>,
    waiting: VecDeque<usize>,
    again: VecDeque<usize>,
}

impl Flight {
    /// Of these.
    pub fn new(entries: Vec<LogEntry>) -> Self {
        let unsent = (0..entries.len()).collect();
        Self { entries, unsent, waiting: VecDeque::new(), again: VecDeque::new() }
    }

    /// Whether an entry may be sent, where at most `window` wait for their answers at a time.
    pub fn is_ready(&self, window: usize) -> bool {
        self.again.is_empty() && !self.unsent.is_empty() && self.waiting.len() < window
    }

    /// The next one to send.
    pub fn send(&mut self, window: usize) -> Option<LogEntry> {
        let next = self.is_ready(window).then(|| self.unsent.pop_front()).flatten()?;
        self.waiting.push_back(next);
        Some(self.entries[next].clone())
    }

    /// Whether answers are to come.
    pub fn is_waiting(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// Takes the next answer.
    pub fn answer(&mut self, response: &LogResponse) -> Answer {
        let Some(position) = self.waiting.pop_front() else { return Answer::Stray };
        let answer = match response.status() {
            Status::Ack => Answer::Stored,
            Status::Retry => {
                self.again.push_back(position);
                Answer::Again(session::delay(response))
            }
            Status::Drop if session::is_closed(response) => Answer::Stop("the log was closed".to_owned()),
            Status::Drop => Answer::Refused(self.entries[position].sequence.cast_unsigned()),
        };
        if self.waiting.is_empty() {
            while let Some(position) = self.again.pop_back() {
                self.unsent.push_front(position);
            }
        }
        answer
    }

    /// Whether every entry is stored or refused.
    pub fn is_settled(&self) -> bool {
        self.unsent.is_empty() && self.waiting.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn flight(count: i64) -> Flight {
        let entry = |sequence| LogEntry { sequence, ..LogEntry::default() };
        Flight::new((1..=count).map(entry).collect())
    }

    fn response(status: Status, message: &str) -> LogResponse {
        LogResponse { status: status.into(), message: message.to_owned(), sequence: 0, crc32c: None }
    }

    fn send_all(flight: &mut Flight, window: usize) -> Vec<i64> {
        std::iter::from_fn(|| flight.send(window)).map(|entry| entry.sequence).collect()
    }

    #[test]
    fn answers_belong_to_entries_by_their_position() {
        let mut flight = flight(3);
        assert_eq!(send_all(&mut flight, 2), [1, 2]);
        assert_eq!(flight.answer(&response(Status::Ack, "")), Answer::Stored);
        assert_eq!(send_all(&mut flight, 2), [3]);
        assert_eq!(flight.answer(&response(Status::Drop, "reason=message_too_large")), Answer::Refused(2));
        assert!(!flight.is_settled());
        assert_eq!(flight.answer(&response(Status::Ack, "")), Answer::Stored);
        assert!(flight.is_settled());
        assert_eq!(flight.answer(&response(Status::Ack, "")), Answer::Stray);
    }

    #[test]
    fn exactly_what_was_asked_for_is_sent_again_once_all_is_answered() {
        let mut flight = flight(5);
        assert_eq!(send_all(&mut flight, 4), [1, 2, 3, 4]);
        let retry = response(Status::Retry, "reason=queue_full;retry_after_ms=7");
        flight.answer(&response(Status::Ack, ""));
        assert_eq!(flight.answer(&retry), Answer::Again(Duration::from_millis(7)));
        assert_eq!(send_all(&mut flight, 4), [0; 0], "3 and 4 are not answered yet");
        flight.answer(&response(Status::Ack, ""));
        flight.answer(&retry);
        assert_eq!(send_all(&mut flight, 2), [2, 4], "no more than may wait");
        flight.answer(&response(Status::Ack, ""));
        assert_eq!(send_all(&mut flight, 2), [5]);
    }

    #[test]
    fn a_closed_log_stops_it() {
        let mut flight = flight(1);
        flight.send(1);
        assert!(matches!(flight.answer(&response(Status::Drop, "reason=log_closed")), Answer::Stop(_)));
    }

    proptest! {
        /// Of both kinds of server: one stores whatever it takes, one only what comes next.
        #[test]
        fn every_entry_is_stored_once_and_in_order_where_the_server_keeps_order(
            count in 1_i64..40, window in 1_usize..9, keeps_order in any::<bool>(),
            moods in prop::collection::vec(any::<bool>(), 1..30),
        ) {
            let mut flight = flight(count);
            let (mut stored, mut sent) = (Vec::new(), VecDeque::new());
            let mut moods = moods.into_iter().chain(std::iter::repeat(true));
            while !flight.is_settled() {
                sent.extend(send_all(&mut flight, window));
                let sequence: i64 = sent.pop_front().expect("something is under way");
                let is_next = i64::try_from(stored.len()).unwrap() + 1 == sequence;
                let takes = moods.next().unwrap() && (is_next || !keeps_order);
                if takes {
                    stored.push(sequence);
                }
                flight.answer(&response(if takes { Status::Ack } else { Status::Retry }, ""));
            }
            if !keeps_order {
                stored.sort_unstable();
            }
            prop_assert_eq!(stored, (1..=count).collect::<Vec<_>>());
        }
    }
}
