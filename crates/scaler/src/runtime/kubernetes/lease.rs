//! Which replica leads, by a Kubernetes Lease.
//!
//! The leader renews the Lease and acts only until half of the Lease's time has passed since it last
//! did; every call that it makes ends within the other half. Another replica leads once it has seen
//! the Lease unchanged for its whole time, by its own clock: clocks need not agree. So a leader that
//! hangs, or is cut off, has stopped acting before another one starts.

use std::time::Duration;

use anyhow::Result;
use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta};
use kube::api::PostParams;
use kube::{Api, Client};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use crate::leader::{Election, Leadership, Tenure};
use crate::record::Term;

/// Of the Lease's time, what a leader may act without having renewed it.
const ACT: u32 = 2;
/// Of the Lease's time, what lies between two renewals.
const RENEW: u32 = 8;
/// Of the Lease's time, what lies between two looks of those that wait.
const LOOK: u32 = 16;

/// How the Lease is used.
#[derive(Clone, Debug)]
pub struct LeaseConfig {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// This replica.
    pub holder: String,
    /// How long another replica waits before it takes over; whole seconds.
    pub duration: Duration,
}

impl LeaseConfig {
    /// Every call ends within this, so that none is under way when another replica leads.
    pub fn call_timeout(&self) -> Duration {
        self.duration.saturating_sub(self.duration / ACT)
    }
}

/// See the module.
#[derive(Debug)]
pub struct LeaseElection {
    keeper: Keeper,
    seen: Option<Seen>,
    renewing: Option<AbortOnDropHandle<()>>,
}

/// What talks to the API server.
#[derive(Clone)]
struct Keeper {
    api: Api<Lease>,
    config: LeaseConfig,
    tenure: Tenure,
}

impl std::fmt::Debug for Keeper {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Keeper").field("config", &self.config).finish_non_exhaustive()
    }
}

/// A Lease, and when it was first seen like this.
#[derive(Clone, Debug)]
struct Seen {
    lease: Lease,
    at: Instant,
}

/// What to do about a Lease that was just looked at: PURE.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    /// Another replica leads.
    Wait,
    /// It is free, or was not renewed for its whole time.
    Take,
}

fn step(seen: &Seen, holder: &str, duration: Duration, now: Instant) -> Step {
    let spec = seen.lease.spec.as_ref();
    let held_by = spec.and_then(|spec| spec.holder_identity.as_deref()).unwrap_or_default();
    // The holder's own word on how long it is, where that is longer than ours.
    let theirs = spec.and_then(|spec| spec.lease_duration_seconds).and_then(|s| u64::try_from(s).ok());
    let duration = duration.max(Duration::from_secs(theirs.unwrap_or_default()));
    if held_by.is_empty() || held_by == holder || now.duration_since(seen.at) >= duration {
        Step::Take
    } else {
        Step::Wait
    }
}

impl LeaseElection {
    /// Takes part for as long as it lives; `tenure` is what the runtime acts on.
    pub fn new(client: Client, config: LeaseConfig, tenure: Tenure) -> Self {
        let api = Api::namespaced(client, &config.namespace);
        Self { keeper: Keeper { api, config, tenure }, seen: None, renewing: None }
    }

    /// Looks once, and takes the Lease if that is due. Gives it once it is this replica's.
    async fn try_acquire(&mut self) -> kube::Result<Option<(Lease, Instant)>> {
        let Some(found) = self.keeper.within(self.keeper.api.get_opt(&self.keeper.config.name)).await? else {
            let begun = Instant::now();
            let created = self.keeper.create().await?;
            return Ok(Some((created, begun)));
        };
        let now = Instant::now();
        let is_same = |seen: &&Seen| seen.lease.metadata.resource_version == found.metadata.resource_version;
        let at = self.seen.as_ref().filter(is_same).map_or(now, |seen| seen.at);
        let seen = self.seen.insert(Seen { lease: found, at });
        match step(seen, &self.keeper.config.holder, self.keeper.config.duration, now) {
            Step::Wait => Ok(None),
            Step::Take => {
                let taken = self.keeper.take(&seen.lease.clone()).await?;
                Ok(Some((taken, now)))
            }
        }
    }
}

impl Election for LeaseElection {
    async fn acquire(
        &mut self,
        stop: &CancellationToken,
        waits: &(dyn Fn(Result<(), String>) + Send + Sync),
    ) -> Result<Option<Leadership>> {
        let pause = self.keeper.config.duration / LOOK;
        while !stop.is_cancelled() {
            match self.try_acquire().await {
                Ok(Some((lease, begun))) => {
                    self.keeper.extend(begun);
                    let transitions = lease.spec.as_ref().and_then(|spec| spec.lease_transitions);
                    let term = Term::new(u64::try_from(transitions.unwrap_or_default()).unwrap_or_default());
                    let lost = CancellationToken::new();
                    let renewing = self.keeper.clone().renew(lease, begun, lost.clone());
                    self.renewing = Some(owned(renewing));
                    return Ok(Some(Leadership { term, lost }));
                }
                Ok(None) => waits(Ok(())),
                // Somebody else was quicker.
                Err(kube::Error::Api(status)) if status.code == 409 => {}
                Err(error) => {
                    waits(Err(format!("the lease {} cannot be had: {error}", self.keeper.config.name)));
                    tracing::warn!(error = %error, "the lease cannot be looked at; trying again");
                }
            }
            stop.run_until_cancelled(tokio::time::sleep(pause)).await;
        }
        Ok(None)
    }

    async fn release(&mut self) {
        let Some(renewing) = self.renewing.take() else { return };
        renewing.abort();
        let _ended = renewing.await;
        let held = self.keeper.tenure.holds();
        self.keeper.tenure.end();
        if held && let Err(error) = self.keeper.give_up().await {
            tracing::warn!(error = %error, "the lease cannot be released; it runs out by itself");
        }
        self.seen = None;
    }

    /// There can be one: this replica was just not told by the Lease first.
    fn fenced(&self) -> Result<()> {
        Ok(())
    }
}

impl Keeper {
    /// Renews the Lease until that fails for too long, or another replica has it.
    async fn renew(self, mut lease: Lease, mut renewed: Instant, lost: CancellationToken) {
        let _end = lost.drop_guard();
        let pause = self.config.duration / RENEW;
        let mut begun = renewed;
        loop {
            tokio::time::sleep_until((begun + pause).min(renewed + self.config.duration / ACT)).await;
            begun = Instant::now();
            let Some(limit) = patience(renewed, self.config.duration, begun) else {
                tracing::warn!("the lease was not renewed in time; leading no more");
                break;
            };
            match within(limit, self.replace(&lease)).await {
                Ok(taken) => {
                    (lease, renewed) = (taken, begun);
                    self.extend(begun);
                }
                // Changed by somebody: if it is still ours, by its operator.
                Err(kube::Error::Api(status)) if status.code == 409 => match self.look().await {
                    Ok(Some(found)) if self.is_mine(&found) => lease = found,
                    Ok(_) => {
                        tracing::warn!("another replica has the lease; leading no more");
                        break;
                    }
                    Err(error) => tracing::warn!(error = %error, "the lease cannot be looked at"),
                },
                Err(error) => tracing::warn!(error = %error, "the lease cannot be renewed; trying again"),
            }
        }
        self.tenure.end();
    }

    fn extend(&self, renewed: Instant) {
        self.tenure.extend(renewed + self.config.duration / ACT);
    }

    fn is_mine(&self, lease: &Lease) -> bool {
        let holder = lease.spec.as_ref().and_then(|spec| spec.holder_identity.as_deref());
        holder == Some(self.config.holder.as_str())
    }

    async fn look(&self) -> kube::Result<Option<Lease>> {
        self.within(self.api.get_opt(&self.config.name)).await
    }

    async fn create(&self) -> kube::Result<Lease> {
        let metadata = ObjectMeta { name: Some(self.config.name.clone()), ..ObjectMeta::default() };
        let lease = Lease { metadata, spec: Some(self.held(1, MicroTime(Timestamp::now()))) };
        self.within(self.api.create(&PostParams::default(), &lease)).await
    }

    /// As [`Keeper::replace`], within the time that any call has.
    async fn take(&self, seen: &Lease) -> kube::Result<Lease> {
        self.within(self.replace(seen)).await
    }

    /// Writes that it is ours, over the very version that was seen: of two that try, one succeeds.
    async fn replace(&self, seen: &Lease) -> kube::Result<Lease> {
        let spec = seen.spec.as_ref();
        let transitions = spec.and_then(|spec| spec.lease_transitions).unwrap_or_default();
        let acquired = spec.and_then(|spec| spec.acquire_time.clone());
        let now = MicroTime(Timestamp::now());
        let spec = if self.is_mine(seen) {
            self.held(transitions, acquired.unwrap_or(now))
        } else {
            self.held(transitions + 1, now)
        };
        let lease = Lease { spec: Some(spec), ..seen.clone() };
        self.api.replace(&self.config.name, &PostParams::default(), &lease).await
    }

    async fn give_up(&self) -> kube::Result<()> {
        let Some(found) = self.look().await? else { return Ok(()) };
        if !self.is_mine(&found) {
            return Ok(());
        }
        let mut lease = found;
        if let Some(spec) = &mut lease.spec {
            spec.holder_identity = None;
        }
        self.within(self.api.replace(&self.config.name, &PostParams::default(), &lease)).await.map(drop)
    }

    fn held(&self, transitions: i32, acquired: MicroTime) -> LeaseSpec {
        LeaseSpec {
            holder_identity: Some(self.config.holder.clone()),
            lease_duration_seconds: i32::try_from(self.config.duration.as_secs()).ok(),
            lease_transitions: Some(transitions),
            acquire_time: Some(acquired),
            renew_time: Some(MicroTime(Timestamp::now())),
            ..LeaseSpec::default()
        }
    }

    async fn within<T>(&self, call: impl Future<Output = kube::Result<T>>) -> kube::Result<T> {
        within(self.config.call_timeout(), call).await
    }
}

/// How long a renewal that begins now may take: half of the time that is left, so that one which hangs leaves
/// some for the next. None where nothing is left.
fn patience(renewed: Instant, duration: Duration, now: Instant) -> Option<Duration> {
    let left = (renewed + duration / ACT).saturating_duration_since(now);
    (!left.is_zero()).then_some(left / 2)
}

async fn within<T>(limit: Duration, call: impl Future<Output = kube::Result<T>>) -> kube::Result<T> {
    match tokio::time::timeout(limit, call).await {
        Ok(answer) => answer,
        Err(elapsed) => Err(kube::Error::Service(Box::new(elapsed))),
    }
}

/// The election owns it, and ends with it.
#[allow(clippy::disallowed_methods, reason = "the election owns the task and aborts it when it is dropped")]
fn owned(renewing: impl Future<Output = ()> + Send + 'static) -> AbortOnDropHandle<()> {
    AbortOnDropHandle::new(tokio::spawn(renewing))
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use kube::client::Body;

    use super::*;

    const DURATION: Duration = Duration::from_secs(4);

    /// Of an API server that takes every Lease, but for the first so many, to which it says nothing.
    fn keeper(silences: usize) -> Keeper {
        let calls = Arc::new(AtomicUsize::new(0));
        let server = tower::service_fn(move |request: http::Request<Body>| {
            let is_silent = calls.fetch_add(1, Ordering::Relaxed) < silences;
            async move {
                if is_silent {
                    std::future::pending::<()>().await;
                }
                let lease = request.into_body().collect_bytes().await.unwrap();
                Ok::<_, Infallible>(http::Response::new(Body::from(lease)))
            }
        });
        let api = Api::namespaced(Client::new(server, "default"), "default");
        let (namespace, name, holder) = ("default".to_owned(), "lease".to_owned(), "me".to_owned());
        let config = LeaseConfig { namespace, name, holder, duration: DURATION };
        Keeper { api, config, tenure: Tenure::default() }
    }

    /// Whether a leader still leads so long after it began to.
    async fn leads(keeper: &Keeper, after: Duration) -> bool {
        let (begun, lost) = (Instant::now(), CancellationToken::new());
        keeper.extend(begun);
        let metadata = ObjectMeta { name: Some("lease".to_owned()), ..ObjectMeta::default() };
        let spec = Some(keeper.held(1, MicroTime(Timestamp::now())));
        let _renewing = owned(keeper.clone().renew(Lease { metadata, spec }, begun, lost.clone()));
        tokio::time::sleep(after).await;
        assert_eq!(lost.is_cancelled(), !keeper.tenure.holds());
        keeper.tenure.holds()
    }

    #[tokio::test(start_paused = true)]
    async fn a_renewal_that_hangs_is_tried_again_in_time_and_only_lasting_silence_ends_a_leadership() {
        assert!(leads(&keeper(0), 10 * DURATION).await);
        assert!(leads(&keeper(1), 10 * DURATION).await, "one answer never came");
        assert!(leads(&keeper(2), 10 * DURATION).await, "two answers never came");
        let (most, of_that) = (DURATION / ACT, DURATION / 100);
        assert!(leads(&keeper(usize::MAX), most.saturating_sub(of_that)).await);
        assert!(!leads(&keeper(usize::MAX), most + of_that).await);
    }

    fn seen(holder: &str, at: Instant) -> Seen {
        let spec = LeaseSpec { holder_identity: Some(holder.to_owned()), ..LeaseSpec::default() };
        Seen { lease: Lease { spec: Some(spec), ..Lease::default() }, at }
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_cannot_find_out_who_leads_says_so() {
        let (keeper, stop) = (keeper(usize::MAX), CancellationToken::new());
        let mut election = LeaseElection { keeper, seen: None, renewing: None };
        let said = std::sync::Mutex::new(None);
        let waits = |followed: Result<(), String>| {
            *said.lock().unwrap() = Some(followed);
            stop.cancel();
        };
        assert!(election.acquire(&stop, &waits).await.unwrap().is_none());
        let said = said.into_inner().unwrap().unwrap().unwrap_err();
        assert!(said.starts_with("the lease lease cannot be had"), "{said}");
    }

    #[test]
    fn a_lease_is_taken_when_it_is_free_ours_or_unchanged_for_its_whole_time() {
        let at = Instant::now();
        let duration = Duration::from_secs(4);
        let after = |millis| at + Duration::from_millis(millis);
        assert_eq!(step(&seen("other", at), "me", duration, after(3_999)), Step::Wait);
        assert_eq!(step(&seen("other", at), "me", duration, after(4_000)), Step::Take);
        assert_eq!(step(&seen("", at), "me", duration, at), Step::Take);
        assert_eq!(step(&seen("me", at), "me", duration, at), Step::Take);
        let mut longer = seen("other", at);
        longer.lease.spec.as_mut().unwrap().lease_duration_seconds = Some(15);
        assert_eq!(step(&longer, "me", duration, after(14_999)), Step::Wait, "its holder counts on more");
    }
}
