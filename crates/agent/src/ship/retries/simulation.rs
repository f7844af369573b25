//! Many agents that all have more to send than a server stores, at one queue that takes whoever comes first.
//!
//! Played in milliseconds, and in batches. As log-ingest does, the server takes all that waits as one group, and
//! its room is free from then on; it answers in order, so a RETRY comes behind the ACKs of what went before; and what
//! comes behind a refused batch is taken in, if there is room, only to be found to come too soon.

use std::time::Duration;

use super::Retries;

/// What an agent may have in flight.
const WHOLE: usize = 64;

const AGENTS: usize = 32;

const MINUTE: u64 = 60_000;

/// Batches that an agent sends in a millisecond: 256 MB/s.
const SPEED: usize = 4;

/// From one side to the other.
const WAY: u64 = 1;

/// The same for the same seed.
struct Chance(u64);

impl Chance {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    /// From 0 to 1.
    fn part(&mut self) -> f64 {
        f64::from(u16::try_from(self.next() >> 48).expect("16 bits are left")) / f64::from(u16::MAX)
    }

    fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.next() % bound as u64).expect("it is below the bound")
    }
}

struct Agent {
    retries: Retries,
    paused_until: u64,
    /// Waiting for an answer, by where the server has them.
    queued: usize,
    in_group: usize,
    /// Of a flight of which one was refused: those behind it, which only take room.
    useless: usize,
    is_refused: bool,
    stored: usize,
}

/// And what it did so far.
struct Server {
    room: usize,
    /// Batches that it stores in a millisecond, and what a group takes beside that.
    speed: usize,
    sync: u64,
    /// Room that is left.
    left: usize,
    /// When the group that it stores is done.
    busy_until: Option<u64>,
    /// Milliseconds in which it had nothing to store.
    idle: u64,
}

impl Agent {
    fn new(begins_at: u64) -> Self {
        let retries = Retries::new(WHOLE);
        Self {
            retries,
            paused_until: begins_at,
            queued: 0,
            in_group: 0,
            useless: 0,
            is_refused: false,
            stored: 0,
        }
    }

    /// Sends what may go.
    fn send(&mut self, now: u64, room: &mut usize) {
        for _ in 0..SPEED {
            let in_flight = self.queued + self.in_group + self.useless;
            if now < self.paused_until || in_flight >= self.retries.window() {
                return;
            }
            self.retries.sent();
            if self.is_refused {
                // It does not know yet, and goes on.
                self.useless += 1;
                *room = room.saturating_sub(1);
            } else if *room == 0 {
                self.is_refused = true;
            } else {
                *room -= 1;
                self.queued += 1;
            }
        }
    }

    /// Takes the answers to what was stored, and to what was refused behind it.
    fn hear(&mut self, now: u64, chance: &mut Chance) {
        if self.in_group > 0 {
            self.retries.stored(self.in_group);
            self.stored += std::mem::take(&mut self.in_group);
        }
        if self.is_refused && self.queued == 0 {
            let asked = Duration::from_millis(50);
            let wait = self.retries.refused(Some("queue_full"), asked, chance.part());
            self.paused_until = now + u64::try_from(wait.as_millis()).expect("it is short");
            (self.is_refused, self.useless) = (false, 0);
        }
    }
}

impl Server {
    const fn new(room: usize, speed: usize, sync: u64) -> Self {
        Self { room, speed, sync, left: room, busy_until: None, idle: 0 }
    }

    /// What each agent got stored in a minute.
    fn play(&mut self, seed: u64) -> Vec<usize> {
        let mut chance = Chance(seed);
        // Some come later than others.
        let mut agents: Vec<_> = (0..AGENTS).map(|_| Agent::new(chance.next() % 2_000)).collect();
        for now in 0..MINUTE {
            let first = chance.below(AGENTS);
            for at in 0..AGENTS {
                agents[(first + at) % AGENTS].send(now, &mut self.left);
            }
            let is_busy = self.busy_until.is_some_and(|until| now < until);
            // Who waits for the group hears nothing before it is stored.
            for agent in agents.iter_mut().filter(|agent| !is_busy || agent.in_group == 0) {
                agent.hear(now, &mut chance);
            }
            if !is_busy {
                self.take_group(&mut agents, now);
            }
        }
        agents.iter().map(|agent| agent.stored).collect()
    }

    fn take_group(&mut self, agents: &mut [Agent], now: u64) {
        for agent in agents.iter_mut() {
            agent.in_group = std::mem::take(&mut agent.queued);
        }
        let group: usize = agents.iter().map(|agent| agent.in_group).sum();
        self.left = self.room;
        self.idle += u64::from(group == 0);
        self.busy_until = (group > 0).then(|| now + self.sync + (group / self.speed) as u64 + 2 * WAY);
    }
}

/// A queue of 64 MiB has room for 1,024 batches.
#[test]
fn p7_the_slowest_of_many_agents_at_a_full_queue_has_at_least_a_third_of_its_share() {
    for (room, speed, sync) in [(1_024, 1, 5), (256, 1, 5), (256, 4, 500), (64, 1, 5), (64, 2, 500)] {
        for seed in 1..=3 {
            let mut server = Server::new(room, speed, sync);
            let stored = server.play(seed);
            let share = stored.iter().sum::<usize>() / AGENTS;
            let slowest = stored.iter().copied().min().unwrap_or(0);
            let played = format!("room {room}, {speed} a ms, {sync} ms a group, seed {seed}");
            assert!(3 * slowest >= share, "{played}: {slowest} of {share} in {stored:?}");
            assert!(server.idle < MINUTE / 8, "{played}: {} ms without a batch", server.idle);
        }
    }
}
