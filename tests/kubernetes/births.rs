//! Counts the Pods that ever came to be, by their uids: a name that was made, removed and made again is
//! two.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures::TryStreamExt;
use kube::runtime::{WatchStreamExt, watcher};
use ottoscaler_tests::wait;
use tokio::sync::oneshot;
use tokio::task::JoinSet;

use crate::world::{LIMIT, World};

/// A watch of its own. Dropping it ends it.
pub(crate) struct Births {
    seen: Arc<Mutex<Seen>>,
    _task: JoinSet<()>,
}

/// Uids.
#[derive(Default)]
struct Seen {
    born: BTreeSet<String>,
    gone: BTreeSet<String>,
}

fn lock(seen: &Mutex<Seen>) -> MutexGuard<'_, Seen> {
    seen.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Births {
    /// Counts from now on; what is there already counts as well.
    pub(crate) async fn watch(world: &World) -> Self {
        let seen = Arc::new(Mutex::new(Seen::default()));
        let (pods, noted) = (world.pods(), Arc::clone(&seen));
        let (ready, is_ready) = oneshot::channel();
        let mut ready = Some(ready);
        let mut task = JoinSet::new();
        task.spawn(async move {
            let events = watcher(pods, watcher::Config::default()).default_backoff();
            let each = events.try_for_each(|event| {
                match event {
                    watcher::Event::InitDone => drop(ready.take().map(|ready| ready.send(()))),
                    watcher::Event::Apply(pod) | watcher::Event::InitApply(pod) => {
                        lock(&noted).born.extend(pod.metadata.uid);
                    }
                    watcher::Event::Delete(pod) => lock(&noted).gone.extend(pod.metadata.uid),
                    watcher::Event::Init => {}
                }
                futures::future::ok(())
            });
            each.await.expect("nothing stands between this watch and the API server");
        });
        is_ready.await.expect("the watch begins");
        Self { seen, _task: task }
    }

    /// Once all Pods are gone: waits until this watch has seen so too, and gives how many there were.
    pub(crate) async fn count(&self) -> usize {
        wait::until("each birth was followed by an end", LIMIT, || async {
            let Seen { born, gone } = &*lock(&self.seen);
            if !born.is_empty() && born == gone { Ok(born.len()) } else { Err(format!("{born:?}, {gone:?}")) }
        })
        .await
    }
}
