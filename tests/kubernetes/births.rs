//! Counts the Pods that ever came to be, by their uids: a name that was made, removed and made again is
//! two.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use futures::TryStreamExt;
use kube::runtime::{WatchStreamExt, watcher};
use tokio::sync::oneshot;
use tokio::task::JoinSet;

use crate::world::World;

/// A watch of its own. Dropping it ends it.
pub(crate) struct Births {
    uids: Arc<Mutex<BTreeSet<String>>>,
    _task: JoinSet<()>,
}

impl Births {
    /// Counts from now on; what is there already counts as well.
    pub(crate) async fn watch(world: &World) -> Self {
        let uids = Arc::new(Mutex::new(BTreeSet::new()));
        let (pods, seen) = (world.pods(), Arc::clone(&uids));
        let (ready, is_ready) = oneshot::channel();
        let mut ready = Some(ready);
        let mut task = JoinSet::new();
        task.spawn(async move {
            let events = watcher(pods, watcher::Config::default()).default_backoff();
            let each = events.try_for_each(|event| {
                match event {
                    watcher::Event::InitDone => drop(ready.take().map(|ready| ready.send(()))),
                    watcher::Event::Apply(pod) | watcher::Event::InitApply(pod) => {
                        let mut seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
                        seen.extend(pod.metadata.uid);
                    }
                    watcher::Event::Init | watcher::Event::Delete(_) => {}
                }
                futures::future::ok(())
            });
            each.await.expect("nothing stands between this watch and the API server");
        });
        is_ready.await.expect("the watch begins");
        Self { uids, _task: task }
    }

    pub(crate) fn count(&self) -> usize {
        self.uids.lock().unwrap_or_else(PoisonError::into_inner).len()
    }
}
