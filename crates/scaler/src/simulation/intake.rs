//! The intake of a leader, as `intake/mod.rs` has it: claim what is pending, then read; each entry is
//! recorded and acknowledged by one script, or is a dead letter.

use std::collections::VecDeque;

use super::bugs::PlantedBug;
use super::controller::Mail;
use super::faults::Site;
use super::replica::{Leader, Trouble};
use super::world::World;
use crate::event::{Event, RawEntry};
use crate::intake::CLAIM_EVERY;
use crate::record::Record;

/// After so many deliveries an entry is a dead letter. No schedule comes near it, since an event that
/// can be handled must not become one.
const MAX_DELIVERIES: u64 = 1_000;

/// So many entries are read at once.
const BATCH: usize = 2;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Intake {
    is_connected: bool,
    claim_at: i64,
    /// Read and not handled, with the number of deliveries of those claimed.
    entries: VecDeque<(RawEntry, u64)>,
    /// The bug: acknowledged and not recorded.
    unrecorded: Option<Record>,
}

impl World {
    pub(super) fn take_in(&mut self, r: usize, leader: &mut Leader) -> Result<(), Trouble> {
        let result = self.turn(r, leader);
        if result == Err(Trouble::Failed) {
            // The session ends; what it had in hand is pending, and claimed after the reconnect.
            leader.intake = Intake { unrecorded: leader.intake.unrecorded.take(), ..Intake::default() };
        }
        result
    }

    fn turn(&mut self, r: usize, leader: &mut Leader) -> Result<(), Trouble> {
        let away = self.redis.away;
        if let Some(record) = leader.intake.unrecorded.clone() {
            self.before(r, Site::Record)?;
            self.redis.record(&record);
            leader.intake.unrecorded = None;
            leader.controller.mail.push_back(Mail::Recorded(record));
            return Ok(());
        }
        let intake = &mut leader.intake;
        if !intake.is_connected {
            if away {
                return Err(Trouble::Failed);
            }
            intake.is_connected = true;
            leader.controller.mail.push_back(Mail::Reconnected);
        } else if let Some((entry, deliveries)) = intake.entries.front().cloned() {
            self.handle(r, leader, &entry, deliveries)?;
            leader.intake.entries.pop_front();
        } else if intake.claim_at <= self.now {
            let claimed = self.remote(r, Site::ClaimEvents, away, |world| Ok(world.redis.claim()))?;
            (intake.entries, intake.claim_at) = (claimed.into(), self.now + millis(CLAIM_EVERY));
        } else {
            let read = self.remote(r, Site::ReadEvents, away, |world| Ok(world.redis.read(BATCH)))?;
            intake.entries = read.into_iter().map(|entry| (entry, 1)).collect();
        }
        Ok(())
    }

    fn handle(
        &mut self,
        r: usize,
        leader: &mut Leader,
        entry: &RawEntry,
        deliveries: u64,
    ) -> Result<(), Trouble> {
        let (term, away, id) = (leader.term(), self.redis.away, entry.id);
        let event = match Event::parse(entry, &self.events) {
            Ok(event) if deliveries <= MAX_DELIVERIES => event,
            Ok(_) | Err(_) => {
                self.remote(r, Site::DeadLetter, away, |world| world.redis.dead_letter(term, id))?;
                self.note(|| format!("replica {r}: {id} is a dead letter"));
                return Ok(());
            }
        };
        let record = Record::from(event);
        if self.bug == Some(PlantedBug::AckBeforeRecord) {
            self.remote(r, Site::Record, away, |world| {
                world.redis.fence(term).map(|()| world.redis.ack(id))
            })?;
            leader.intake.unrecorded = Some(record);
            return Ok(());
        }
        let is_new = self.remote(r, Site::Record, away, |world| {
            world.redis.fence(term)?;
            let is_new = world.redis.record(&record);
            world.redis.ack(id);
            Ok(is_new)
        })?;
        self.note(|| format!("replica {r}: {id} is on record as {} (new: {is_new})", record.id()));
        if is_new {
            leader.controller.mail.push_back(Mail::Recorded(record));
        }
        Ok(())
    }

    /// Whether there is nothing to take in.
    pub(super) fn is_taken_in(&self) -> bool {
        self.redis.stream.is_empty() && self.redis.pending.is_empty()
    }
}

fn millis(duration: std::time::Duration) -> i64 {
    i64::try_from(duration.as_millis()).expect("a short time")
}
