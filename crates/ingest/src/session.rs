//! The sequence rules, pure: where it is decided whether an entry is stored, acknowledged again, asked
//! for again, or refused for good.
//!
//! The rules are those of the wire contract, in this order: numbering of the worker's first entry, then
//! a repeat, then a closed log, then a gap in the sequence, then whether the entry can be stored at all.

use std::sync::Arc;

use crate::line::{Block, Content, Lines, Sequence};
use crate::reason::{DropReason, Dropped, Retry};
use crate::worker::{Numbering, WorkerState};

/// What a client offers to a worker's log.
#[derive(Clone, Debug)]
pub struct Item {
    /// The sequence of its first line; none where the client does not number.
    pub first: Option<Sequence>,
    /// What it holds.
    pub offer: Offer,
}

/// What an item holds.
#[derive(Clone, Debug)]
pub enum Offer {
    /// At least one line.
    Lines(Lines),
    /// The client lost the lines up to `last` and says so.
    Gap {
        /// The last lost line.
        last: Sequence,
        /// The client's word for it.
        reason: Arc<str>,
    },
    /// One line that can never be stored.
    Unstorable(Dropped),
}

impl Item {
    /// Sequence numbers that it takes up.
    fn span(&self) -> u64 {
        match (&self.offer, self.first) {
            (Offer::Lines(lines), _) => lines.len() as u64,
            (Offer::Gap { last, .. }, Some(first)) => last.since(first) + 1,
            (Offer::Gap { .. }, None) | (Offer::Unstorable(_), _) => 1,
        }
    }

    /// Lines that it holds and that are not there already as far as is known, with the mark at `high`.
    pub(crate) fn lines_after(&self, high: Sequence) -> u64 {
        let there = self.first.map_or(0, |first| high.next().since(first));
        self.lines().saturating_sub(there)
    }

    /// Lines that it holds.
    pub(crate) fn lines(&self) -> u64 {
        match &self.offer {
            Offer::Lines(lines) => lines.len() as u64,
            Offer::Gap { .. } | Offer::Unstorable(_) => 0,
        }
    }

    /// Who numbers it.
    pub(crate) fn numbering(&self) -> Numbering {
        if self.first.is_some() { Numbering::Client } else { Numbering::Server }
    }
}

/// What is to be done with an item.
#[derive(Clone, Debug, PartialEq)]
pub struct Decision {
    /// To be stored, directly behind the mark.
    pub store: Option<Block>,
    /// What to answer once that is durable.
    pub answer: Answer,
}

/// What a client is told of an item.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    /// The sequence given to the item's first line: the client's, or the server's own.
    pub first: Sequence,
    /// Lines of the item up to here are durable.
    pub acked: Sequence,
    /// Lines of it that were stored, and not there before.
    pub stored: u64,
    /// What holds for its lines after `acked`.
    pub refusal: Option<Refusal>,
}

/// Why lines were not stored.
#[derive(Clone, Debug, PartialEq)]
pub enum Refusal {
    /// Send them again, from after this mark.
    Retry(Retry, Sequence),
    /// Never, and a durable gap of one line stands in its place: what follows can be acknowledged.
    Replaced(Dropped),
    /// Never, and nothing was stored: the mark stays where it is.
    Drop(Dropped),
}

/// Decides about `item`, offered to a worker in `state`.
pub fn decide(state: &WorkerState, item: Item) -> Decision {
    let first = item.first.unwrap_or(state.high.next());
    let last = Sequence::new(first.get() + item.span() - 1);
    let refuse = |acked: Sequence, refusal| Decision {
        store: None,
        answer: Answer { first, acked, stored: 0, refusal: Some(refusal) },
    };
    if state.numbering.is_some_and(|numbering| numbering != item.numbering()) {
        return refuse(Sequence::ZERO, Refusal::Drop(DropReason::MixedNumbering.into()));
    }
    if last <= state.high {
        return Decision { store: None, answer: Answer { first, acked: last, stored: 0, refusal: None } };
    }
    if state.closing.is_some() {
        return refuse(state.high, Refusal::Drop(DropReason::LogClosed.into()));
    }
    if first > state.high.next() {
        return refuse(Sequence::ZERO, Refusal::Retry(Retry::Gap, state.high));
    }
    store(state, item, first, last)
}

/// Stores what is new of an item that begins at the mark or before it.
fn store(state: &WorkerState, item: Item, first: Sequence, last: Sequence) -> Decision {
    let (content, refusal) = match item.offer {
        Offer::Lines(lines) => (Content::Lines(lines), None),
        Offer::Gap { last, reason } => (Content::Gap { last, reason }, None),
        // The mark advances over what can never be stored; readers see why.
        Offer::Unstorable(drop) => {
            (Content::Gap { last, reason: drop.reason().into() }, Some(Refusal::Replaced(drop)))
        }
    };
    let block = Block { first, content }.starting_at(state.high.next());
    let acked = if refusal.is_some() { Sequence::ZERO } else { last };
    let stored = block.lines();
    Decision { store: Some(block), answer: Answer { first, acked, stored, refusal } }
}

#[cfg(test)]
mod tests;
