//! One replica leads: only it takes in events, decides and writes. The others watch the workers, so
//! that they can go on at once.
//!
//! What makes a stale leader harmless: before each call that changes a worker it looks at its
//! [`Tenure`], which ends well before anybody else may lead; and each write to Redis carries its
//! [`Term`], of which Redis refuses all but the highest.

use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Result, anyhow, bail};
use ottoscaler_kit::admin::Condition;
use redis::RedisResult;
use serde::Serialize;
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::controller::{Controller, ControllerConfig, Ended, Intake as Message, Means};
use crate::explain::Question;
use crate::intake::{Backlog, Intake, IntakeConfig};
use crate::record::{Store, StoreConfig, Term};
use crate::redis_link::RedisLink;
use crate::runtime::Runtime;

/// Records that wait for the controller; it takes all of them in before each pass. When they are this
/// many, intake waits, and events wait in Redis. A record is a few KiB, so this is a few MiB.
const RECORDED: usize = 1_024;

/// Between two tries to begin a term while Redis is away.
const TERM_PAUSE: Duration = Duration::from_millis(500);

/// Decides which replica leads.
pub trait Election: Send + 'static {
    /// Waits until this replica leads. `None`: it was told to stop. `waits` is called each time that another
    /// replica was seen to lead, or that this could not be found out, and why.
    fn acquire(
        &mut self,
        stop: &CancellationToken,
        waits: &(dyn Fn(Result<(), String>) + Send + Sync),
    ) -> impl Future<Output = Result<Option<Leadership>>> + Send;

    /// Lets another replica lead at once.
    fn release(&mut self) -> impl Future<Output = ()> + Send;

    /// Redis knows a later leader. An error where there cannot be one.
    fn fenced(&self) -> Result<()>;
}

/// This replica leads.
#[derive(Clone, Debug)]
pub struct Leadership {
    /// Its term is at least this.
    pub term: Term,
    /// Cancelled once it no longer leads.
    pub lost: CancellationToken,
}

/// No other replica can be there: what the runtime works on is locked.
#[derive(Clone, Copy, Debug, Default)]
pub struct Sole;

impl Election for Sole {
    async fn acquire(
        &mut self,
        stop: &CancellationToken,
        _waits: &(dyn Fn(Result<(), String>) + Send + Sync),
    ) -> Result<Option<Leadership>> {
        let leadership = Leadership { term: Term::default(), lost: CancellationToken::new() };
        Ok((!stop.is_cancelled()).then_some(leadership))
    }

    async fn release(&mut self) {}

    fn fenced(&self) -> Result<()> {
        bail!(
            "another ottoscaler works on the same records in Redis; give each its own --record-prefix \
             (OTTO_RECORD_PREFIX), --events-stream and --status-stream"
        )
    }
}

/// How long this replica may act as the leader without hearing from the Lease again. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Tenure(Arc<Mutex<Option<Instant>>>);

impl Tenure {
    /// It may act until then.
    pub fn extend(&self, until: Instant) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(until);
    }

    /// It may no longer act.
    pub fn end(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// Whether it may act now.
    pub fn holds(&self) -> bool {
        let until = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        until.is_some_and(|until| Instant::now() < until)
    }
}

/// Who leads, as this replica knows it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Role {
    /// This replica does.
    pub leads: bool,
    /// In which term.
    pub term: u64,
}

/// Everything that a leader works with.
#[derive(Debug)]
pub struct Office<R> {
    /// What makes workers, watches logs and counts; its store is in no term yet.
    pub means: Means<R>,
    /// Where events come from.
    pub link: RedisLink,
    /// How they are read.
    pub intake: IntakeConfig,
    /// What the operator decides.
    pub controller: ControllerConfig,
    /// Met while it is known who leads.
    pub elected: Condition,
    /// Met while intake is connected.
    pub connected: Condition,
    /// Who leads.
    pub role: watch::Sender<Role>,
}

impl<R: Runtime> Office<R> {
    /// Leads whenever it is this replica's turn, until `stop`. An error of the election or of the
    /// controller's own is one that a restart has to mend.
    pub async fn run<E: Election>(
        self,
        mut election: E,
        mut questions: mpsc::Receiver<Question>,
        stop: CancellationToken,
    ) -> Result<()> {
        let waits = |followed: Result<(), String>| match followed {
            // Whoever follows lacks nothing: it is ready to lead.
            Ok(()) => {
                self.elected.met();
                self.connected.met();
                self.means.synced.met();
            }
            Err(why) => {
                self.elected.missing(why);
                // They are no part of it: nobody asks them before this replica's turn.
                self.connected.met();
                self.means.synced.met();
            }
        };
        while let Some(leadership) = election.acquire(&stop, &waits).await? {
            self.elected.met();
            let ended = self.lead(&leadership, &mut questions, &stop).await;
            self.role.send_replace(Role::default());
            self.means.metrics.leads_no_more();
            leadership.lost.cancel();
            election.release().await;
            if ended? == Ended::Fenced {
                election.fenced()?;
            }
        }
        Ok(())
    }

    /// Leads until that is over, one way or the other.
    async fn lead(
        &self,
        leadership: &Leadership,
        questions: &mut mpsc::Receiver<Question>,
        stop: &CancellationToken,
    ) -> Result<Ended> {
        let scope = leadership.lost.child_token();
        let begun = tokio::select! {
            () = stop.cancelled() => return Ok(Ended::Stopped),
            () = scope.cancelled() => return Ok(Ended::Stopped),
            term = self.begin(leadership.term) => term?,
        };
        tracing::info!(term = begun.get(), "leading");
        self.means.metrics.terms.inc();
        self.means.metrics.leads.set(1);
        // Not sooner: until its term is over, the leader before makes workers.
        self.means.runtime.refresh();
        self.role.send_replace(Role { leads: true, term: begun.get() });
        let store = self.means.store.in_term(begun);
        let (recorded, records) = mpsc::channel(RECORDED);
        let intake = self.intake(store.clone(), recorded);
        let backlog = self.backlog()?;
        let controller = Controller::new(self.means.in_term(store), self.controller);
        let either_ends = |scope: CancellationToken| scope.drop_guard();
        let intake = async {
            let _guard = either_ends(scope.clone());
            intake.run(scope.clone()).await
        };
        let controller = async {
            let _guard = either_ends(scope.clone());
            controller.run(records, questions, scope.clone()).await
        };
        let stopping = async {
            tokio::select! {
                () = stop.cancelled() => scope.cancel(),
                () = scope.cancelled() => {}
            }
        };
        let (intake, controller, (), ()) =
            tokio::join!(intake, controller, backlog.run(scope.clone()), stopping);
        let ended = if intake? == Ended::Fenced { Ended::Fenced } else { controller? };
        if ended == Ended::Fenced {
            tracing::warn!(term = begun.get(), "leads no more: a later leader has written");
        }
        Ok(ended)
    }

    fn intake(&self, store: Store, recorded: mpsc::Sender<Message>) -> Intake {
        let (metrics, connected) = (self.means.metrics.clone(), self.connected.clone());
        Intake::new(self.link.clone(), store, self.intake.clone(), recorded, metrics, connected)
    }

    fn backlog(&self) -> Result<Backlog> {
        let StoreConfig { events, group, .. } = self.means.store.config();
        Ok(Backlog::new(self.link.commands()?, events.clone(), group.clone(), self.means.metrics.clone()))
    }

    /// Begins a term in Redis, however long that takes. An error: the records are another scaler's.
    async fn begin(&self, at_least: Term) -> Result<Term> {
        loop {
            match self.try_begin(at_least).await {
                Ok(begun) => return begun,
                Err(error) => {
                    self.connected.missing(format!("{}: {error}", self.link.address()));
                    tracing::warn!(redis = self.link.address(), error = %error, "redis is away; trying again");
                    tokio::time::sleep(TERM_PAUSE).await;
                }
            }
        }
    }

    async fn try_begin(&self, at_least: Term) -> RedisResult<Result<Term>> {
        let home = self.means.runtime.home();
        if let Some(other) = self.means.store.claim(home).await? {
            return Ok(Err(anyhow!(
                "the records in Redis are those of other workers, and some of them are not finished: {other}; these \
                 here are {home}. Start it where they are (--runtime, --state-dir, --namespace, --instance), or give \
                 this one its own --record-prefix (OTTO_RECORD_PREFIX), --events-stream and --status-stream"
            )));
        }
        self.means.store.take_term(at_least).await.map(Ok)
    }
}
