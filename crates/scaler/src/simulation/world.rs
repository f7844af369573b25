//! One schedule: everything that there is, and which of it moves next.

use std::num::{NonZeroU32, NonZeroUsize};
use std::time::Duration;

use jiff::Timestamp;

use super::api::Server;
use super::bugs::PlantedBug;
use super::calls::Call;
use super::checks::{Checks, Due, Fate, Violation};
use super::faults::Tally;
use super::ingest::Ingest;
use super::redis::Redis;
use super::replica::Replica;
use super::rng::Rng;
use crate::event::{Event, EventPolicy, RawEntry, RunDefaults};
use crate::ids::{RecordId, WorkerId};
use crate::reconcile::Policy;
use crate::record::{Progress, Record};
use crate::runtime::kubernetes::testing::{End, Life};

/// When each schedule begins, in milliseconds: some day of 2023.
const BEGIN: i64 = 1_700_000_000_000;

/// So many rounds of a quiet time bring everything to its end; each is [`ROUND`] milliseconds.
const ROUNDS: usize = 120;
const ROUND: i64 = 1_100;

/// So many events are added in a schedule.
const EVENTS: u64 = 6;

/// See the module.
#[derive(Debug)]
pub(super) struct World {
    pub(super) rng: Rng,
    pub(super) now: i64,
    pub(super) bug: Option<PlantedBug>,
    pub(super) policy: Policy,
    pub(super) events: EventPolicy,
    pub(super) redis: Redis,
    pub(super) server: Server,
    pub(super) ingest: Ingest,
    pub(super) replicas: Vec<Replica>,
    pub(super) orphans: Vec<Call>,
    /// Requests of which no worker will ever be accepted.
    pub(super) refused: Vec<RecordId>,
    pub(super) checks: Checks,
    pub(super) tally: Tally,
    /// Nothing goes wrong any more.
    pub(super) calm: bool,
    /// So many of a thousand chances are taken.
    pub(super) fault_rate: u64,
    /// So soon does a replica that stands still go on.
    pub(super) thaw_rate: u64,
    added: u64,
    holders: u64,
    trace: Option<Vec<String>>,
}

/// What came of a schedule.
#[derive(Debug)]
pub(super) struct Outcome {
    pub(super) violation: Option<Violation>,
    pub(super) tally: Tally,
    pub(super) trace: Vec<String>,
}

/// Runs the schedule of a seed.
pub(super) fn run(seed: u64, bug: Option<PlantedBug>, traced: bool) -> Outcome {
    let mut world = World::new(seed, bug, traced);
    let steps = 100 + world.rng.below(250);
    for _ in 0..steps {
        world.step();
        if world.checks.found.is_some() {
            break;
        }
    }
    if world.checks.found.is_none() {
        world.come_to_rest();
    }
    let trace = world.trace.take().unwrap_or_default();
    Outcome { violation: world.checks.found, tally: world.tally, trace }
}

impl World {
    fn new(seed: u64, bug: Option<PlantedBug>, traced: bool) -> Self {
        let mut rng = Rng::new(seed);
        let policy = Policy {
            max_workers: NonZeroUsize::new(1 + rng.place(3)).expect("at least one"),
            keep_ended: Duration::from_secs(rng.below(3)),
            keep_ended_count: rng.place(3),
            pending_timeout: Duration::from_secs(30),
            image_grace: Duration::from_secs(2),
            grace_period: Duration::from_secs(2),
            drain_timeout: Duration::from_secs(10),
        };
        let events = EventPolicy {
            run: RunDefaults::default(),
            timeout: Duration::from_hours(1),
            max_workers: NonZeroU32::new(3).expect("three"),
        };
        let fault_rate = rng.pick(&[0, 5, 15, 30, 60]);
        let thaw_rate = rng.pick(&[15, 40, 150]);
        let unfenced = bug == Some(PlantedBug::NoTransitionCheck);
        Self {
            rng,
            now: BEGIN,
            bug,
            policy,
            events,
            redis: Redis::new(unfenced),
            server: Server::default(),
            ingest: Ingest::default(),
            replicas: vec![Replica::new(1), Replica::new(2)],
            orphans: Vec::new(),
            refused: Vec::new(),
            checks: Checks::default(),
            tally: Tally::default(),
            calm: false,
            fault_rate,
            thaw_rate,
            added: 0,
            holders: 2,
            trace: traced.then(Vec::new),
        }
    }

    /// What time it is.
    pub(super) fn at(&self) -> Timestamp {
        Timestamp::from_millisecond(self.now).expect("a time of this century")
    }

    /// Puts it down where somebody wants to read it.
    pub(super) fn note(&mut self, what: impl FnOnce() -> String) {
        if let Some(trace) = &mut self.trace {
            trace.push(format!("{:>7} ms  {}", self.now - BEGIN, what()));
        }
    }

    pub(super) fn next_holder(&mut self) -> u64 {
        self.holders += 1;
        self.holders
    }

    fn step(&mut self) {
        self.tally.steps += 1;
        // Mostly no time to speak of, and now and then enough for a Lease or a clock to run out.
        let (short, long) = (self.rng.below(60), 1_000 + self.rng.below(5_000));
        self.now += i64::try_from(if self.rng.chance(12) { long } else { short }).expect("a short time");
        match self.rng.below(100) {
            0..8 => self.produce(),
            8..72 => {
                let r = self.rng.place(self.replicas.len());
                for _ in 0..=self.rng.below(6) {
                    self.act(r);
                    self.check();
                }
            }
            72..90 => self.kubelet(),
            90..94 => self.deliver_orphan(),
            94..97 => self.ingest_moves(),
            _ => self.trouble(),
        }
        self.check();
    }

    fn check(&mut self) {
        self.checks.events(&self.redis);
        self.tally.over_capacity += u64::from(self.server.alive() > self.policy.max_workers.get());
    }

    /// A whole machine comes or goes.
    fn trouble(&mut self) {
        if self.fault_rate == 0 {
            return;
        }
        match self.rng.below(12) {
            0 => self.redis.away = true,
            1 => self.server.away = true,
            2 => self.ingest.away = true,
            3..8 => (self.redis.away, self.server.away, self.ingest.away) = (false, false, false),
            _ => {
                let r = self.rng.place(self.replicas.len());
                self.note(|| format!("the watch of replica {r} breaks"));
                self.replicas[r].watch_breaks();
            }
        }
        let (redis, server, ingest) = (self.redis.away, self.server.away, self.ingest.away);
        self.note(|| format!("away: redis {redis}, API server {server}, log-ingest {ingest}"));
    }

    fn ingest_moves(&mut self) {
        if !self.ingest.away {
            self.ingest.flush();
        }
    }

    /// A producer adds an event: a new one, one that it is not sure to have added, or a wrong one.
    fn produce(&mut self) {
        if self.added >= EVENTS {
            return;
        }
        self.added += 1;
        let task = self.rng.below(2);
        let fields = match self.rng.below(20) {
            0 => vec![("type", "scale_sideways".to_owned())],
            1..6 => vec![
                ("type", "scale_down".to_owned()),
                ("task_id", format!("t{task}")),
                ("worker_count", self.rng.below(2).to_string()),
            ],
            _ => {
                // All of it follows from the request, as a producer that repeats itself has it.
                let request = self.rng.below(2);
                let kind = task * 2 + request;
                vec![
                    ("type", "scale_up".to_owned()),
                    ("task_id", format!("t{task}")),
                    ("request_id", format!("r{request}")),
                    ("worker_count", (1 + kind % 3).to_string()),
                    ("max_attempts", (1 + kind % 2).to_string()),
                    ("priority", (kind / 3).to_string()),
                    ("command", "true".to_owned()),
                    ("queue_timeout_seconds", if kind == 2 { "4" } else { "3600" }.to_owned()),
                ]
            }
        };
        let bytes = |text: &str| text.as_bytes().to_vec();
        let fields = fields.iter().map(|(name, value)| (bytes(name), bytes(value))).collect();
        let id = format!("{}-{}", self.now, self.added).parse().expect("an entry's id");
        let entry = RawEntry { id, fields };
        let due = match Event::parse(&entry, &self.events).map(Record::from) {
            Ok(record) => {
                let id = record.id().clone();
                if let Record::Task(asked) = record {
                    if self.rng.chance(30) && !self.checks.requested.contains_key(&id) {
                        self.refused.push(id.clone());
                    }
                    self.checks.requested.entry(id.clone()).or_insert(*asked);
                }
                Due::Record(id)
            }
            Err(_) => Due::Letter,
        };
        self.note(|| format!("event {id}: {due:?}"));
        self.checks.due.insert(id, due);
        self.redis.add(entry);
    }

    /// A kubelet does something about one Pod, or its node goes.
    fn kubelet(&mut self) {
        if self.server.pods.is_empty() || self.server.away {
            return;
        }
        let place = self.rng.place(self.server.pods.len());
        let Some((worker, truth)) = self.server.pods.iter().nth(place) else { return };
        let (worker, life, deleting) = (worker.clone(), truth.life.clone(), truth.deleting);
        let is_rough = !self.calm && self.fault_rate > 0;
        if is_rough && self.rng.chance(25) && self.may_be_taken(&worker) {
            return self.taken_away(&worker);
        }
        match life {
            Life::Pending(_) | Life::Ended(_) if deleting => self.lets_go(&worker),
            Life::Pending(_) if is_rough && self.rng.chance(120) => {
                let why = self.rng.pick(&["ErrImagePull", "InvalidImageName"]);
                self.server.becomes(&worker, Life::Pending(Some(why)));
            }
            Life::Pending(_) => self.starts(&worker),
            Life::Running { since } => self.ends(&worker, since, deleting),
            Life::Ended(_) => {}
        }
    }

    fn lets_go(&mut self, worker: &WorkerId) {
        self.note(|| format!("{worker} is gone"));
        self.server.goes(worker);
    }

    /// Not what runs and is not on record as made: if its leader dies at that very moment, nobody is left
    /// who knows that it ever ran, and it is made again. No scaler can help that, short of a write to
    /// Redis before each create.
    fn may_be_taken(&self, worker: &WorkerId) -> bool {
        let Some(truth) = self.server.pods.get(worker) else { return false };
        let identity = &truth.spec.identity;
        let record = crate::name::task_record(&identity.task_id, &identity.request_id);
        let slot = self.redis.task(&record).map(|task| task.slot(identity.index));
        let is_on_record = slot.is_some_and(|slot| {
            slot.attempt == identity.attempt && slot.progress != Progress::Queued && !slot.is_ended()
        });
        match truth.life {
            Life::Pending(_) => true,
            Life::Running { .. } => is_on_record,
            Life::Ended(_) => false,
        }
    }

    /// Its node is lost, or somebody deletes it.
    fn taken_away(&mut self, worker: &WorkerId) {
        self.note(|| format!("{worker} is taken away"));
        self.checks.taken.insert(worker.clone());
        self.server.goes(worker);
    }

    fn starts(&mut self, worker: &WorkerId) {
        self.note(|| format!("{worker} starts its command"));
        self.checks.starts(worker);
        self.ingest.register(worker);
        self.server.becomes(worker, Life::Running { since: self.at() });
    }

    fn ends(&mut self, worker: &WorkerId, since: Timestamp, stopped: bool) {
        let fate = match self.rng.below(if self.calm { 10 } else { 20 }) {
            0..5 if stopped => Fate::Stopped(0),
            _ if stopped => Fate::Stopped(143),
            0..10 => Fate::Exited(0),
            10..13 => Fate::Exited(3),
            13..18 => Fate::Infrastructure,
            _ => Fate::OutOfMemory,
        };
        self.note(|| format!("{worker} ends: {fate:?}"));
        self.checks.fates.insert(worker.clone(), fate);
        let code = if let Fate::Exited(code) | Fate::Stopped(code) = fate { code } else { 137 };
        let (evicted, out_of_memory) = (fate == Fate::Infrastructure, fate == Fate::OutOfMemory);
        let end = End { code, out_of_memory, evicted, stopped, started_at: since, at: self.at() };
        self.server.becomes(worker, Life::Ended(end));
        let flushed = !out_of_memory && (self.calm || self.rng.chance(900));
        self.ingest.ended(worker, flushed);
    }

    /// Nothing goes wrong any more: everything comes to its end, and nothing is left over.
    fn come_to_rest(&mut self) {
        self.note(|| "nothing goes wrong any more".to_owned());
        self.calm = true;
        (self.redis.away, self.server.away, self.ingest.away) = (false, false, false);
        self.orphans.clear();
        for _ in 0..ROUNDS {
            self.now += ROUND;
            self.tally.steps += 1;
            self.round();
            self.check();
            let is_over = self.is_at_rest() || self.checks.found.is_some();
            if is_over {
                break;
            }
        }
        self.checks.all_done(&self.redis);
        if !self.is_at_rest() {
            let pods: Vec<String> = self.server.pods.keys().map(ToString::to_string).collect();
            let (open, pending) = (&self.redis.index, &self.redis.pending);
            let what =
                format!("it does not come to rest: Pods {pods:?}, records {open:?}, pending {pending:?}");
            self.checks.broken("P1", what);
        }
    }

    fn is_at_rest(&self) -> bool {
        self.is_taken_in() && self.redis.index.is_empty() && self.server.pods.is_empty()
    }

    fn round(&mut self) {
        for _ in 0..self.server.pods.len() * 2 {
            self.kubelet();
        }
        self.ingest.flush();
        for r in 0..self.replicas.len() {
            let replica = &mut self.replicas[r];
            (replica.is_down, replica.is_frozen) = (false, false);
            self.keep_lease(r);
            self.watch(r);
            while !self.has_heard_all(r) {
                self.watch(r);
            }
            self.lead_through(r);
        }
    }

    /// All that a leader has to do now.
    fn lead_through(&mut self, r: usize) {
        for _ in 0..4 {
            self.lead(r, Self::take_in);
        }
        for _ in 0..3 {
            self.lead(r, Self::control);
            while self.replicas[r].leader.as_ref().is_some_and(|leader| !leader.controller.is_idle()) {
                self.lead(r, Self::control);
            }
            let calls = self.replicas[r].leader.as_ref().map_or(0, |leader| leader.calls.len());
            for _ in 0..calls * 4 {
                self.lead(r, Self::make_call);
            }
        }
    }
}
