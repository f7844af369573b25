//! The summaries of all tasks, kept for those who ask again and again: each open page does every two seconds, and of
//! ten thousand workers nothing takes as long as to look at each.
//!
//! They are made anew by one at a time, and only where something has changed. That takes up a tenth of one core at the
//! most, however many ask and however much comes in, or as much as half a second's age allows: so where there are few
//! tasks they are as of now, and where there are many, never older than that.

use std::io;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use tokio::sync::Mutex;

use crate::catalog::Catalog;
use crate::ids::TaskId;
use crate::summary::Summary;
use crate::worker::WorkerState;

/// Of so long ago they may be, while things change.
const OLDEST: Duration = Duration::from_millis(500);

/// They serve so many times as long as it took to make them, while things change.
const SHARE: u32 = 10;

/// See the module; cheap to clone.
#[derive(Clone, Debug)]
pub struct Summaries {
    catalog: Arc<Catalog>,
    kept: Arc<Mutex<Option<Kept>>>,
}

/// A task in a list.
#[derive(Debug)]
pub(crate) struct Listed {
    pub(crate) summary: Summary,
    workers: Vec<Arc<WorkerState>>,
    /// All names in small letters, one a line. Made when somebody looks for one.
    names: OnceLock<String>,
}

/// The summaries of one moment.
#[derive(Debug)]
struct Kept {
    tasks: Arc<[Listed]>,
    /// What had changed in the catalog until then.
    changes: u64,
    began: Instant,
    took: Duration,
}

impl Summaries {
    /// Of a catalog's tasks; none is made yet.
    pub fn new(catalog: Arc<Catalog>) -> Self {
        Self { catalog, kept: Arc::default() }
    }

    /// All tasks, the latest activity first.
    pub(crate) async fn latest(&self) -> io::Result<Arc<[Listed]>> {
        // Whoever comes while they are made waits for them.
        let mut kept = Arc::clone(&self.kept).lock_owned().await;
        let serves = |kept: &&Kept| kept.serves(self.catalog.changes(), Instant::now());
        if let Some(kept) = kept.as_ref().filter(serves) {
            return Ok(Arc::clone(&kept.tasks));
        }
        let catalog = Arc::clone(&self.catalog);
        let make = move || Arc::clone(&kept.insert(Kept::of(&catalog)).tasks);
        tokio::task::spawn_blocking(make).await.map_err(io::Error::other)
    }
}

impl Listed {
    fn new(task: TaskId, workers: Vec<Arc<WorkerState>>) -> Self {
        Self { summary: Summary::new(task, &workers), workers, names: OnceLock::new() }
    }

    /// Whether the task's name, or that of one of its workers, has a text of small letters.
    pub(crate) fn is_named(&self, text: &str) -> bool {
        let names = || {
            let workers = self.workers.iter().map(|state| state.names().0.as_str());
            let all: Vec<_> = std::iter::once(self.summary.task.as_str()).chain(workers).collect();
            all.join("\n").to_lowercase()
        };
        text.is_empty() || self.names.get_or_init(names).lines().any(|name| name.contains(text))
    }
}

impl Kept {
    fn of(catalog: &Catalog) -> Self {
        // Looked at first: what changes from here on is in the list or is not.
        let (began, changes) = (Instant::now(), catalog.changes());
        let tasks = catalog.tasks().into_iter();
        let mut tasks: Vec<_> = tasks.map(|(task, workers)| Listed::new(task, workers)).collect();
        tasks.sort_by(|a, b| a.summary.by_latest(&b.summary));
        Self { tasks: tasks.into(), changes, began, took: began.elapsed() }
    }

    fn serves(&self, changes: u64, now: Instant) -> bool {
        let allowed = OLDEST.min(self.took.saturating_mul(SHARE));
        self.changes == changes || now.saturating_duration_since(self.began) < allowed
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::WorkerId;
    use crate::worker::Registration;

    fn publish(catalog: &Catalog, task: &str, worker: &str, at_ns: i64) {
        let registration = Registration::recovered(WorkerId::try_from(worker).unwrap());
        let registration = Registration { task: TaskId::try_from(task).unwrap(), ..registration };
        catalog.publish(WorkerState::new(registration, at_ns));
    }

    fn names(tasks: &[Listed]) -> Vec<&str> {
        tasks.iter().map(|task| task.summary.task.as_str()).collect()
    }

    #[tokio::test]
    async fn they_are_made_once_until_something_changes() {
        let catalog = Arc::new(Catalog::default());
        let summaries = Summaries::new(Arc::clone(&catalog));
        publish(&catalog, "a", "a-0", 1);
        publish(&catalog, "b", "b-0", 2);
        let first = summaries.latest().await.unwrap();
        assert_eq!(names(&first), ["b", "a"]);
        let again = futures::future::join_all((0..50).map(|_| summaries.latest())).await;
        assert!(again.into_iter().all(|again| Arc::ptr_eq(&again.unwrap(), &first)), "nothing has changed");
        for (change, expected) in [
            (&(|| publish(&catalog, "a", "a-0", 3)) as &dyn Fn(), &["a", "b"][..]),
            (&|| publish(&catalog, "c", "c-0", 4), &["c", "a", "b"]),
            (&|| catalog.forget(&WorkerId::try_from("a-0").unwrap()), &["c", "b"]),
        ] {
            change();
            let began = Instant::now();
            while names(&summaries.latest().await.unwrap()) != expected {
                assert!(began.elapsed() < 20 * OLDEST, "{expected:?} is never told");
                tokio::task::yield_now().await;
            }
        }
    }

    #[test]
    fn while_things_change_they_serve_the_longer_the_longer_it_took_to_make_them() {
        let millis = Duration::from_millis;
        for (took, age, serves) in
            [(0, 0, false), (2, 19, true), (2, 20, false), (90, 499, true), (90, 500, false)]
        {
            let (tasks, took) = (Arc::default(), millis(took));
            let kept = Kept { tasks, changes: 7, began: Instant::now(), took };
            let now = kept.began + millis(age);
            assert_eq!(kept.serves(8, now), serves, "{took:?}, {age} ms");
            assert!(kept.serves(7, now + millis(60_000)), "nothing has changed");
        }
    }

    #[test]
    fn a_task_is_found_by_its_name_and_by_those_of_its_workers() {
        let catalog = Catalog::default();
        publish(&catalog, "Build", "Left", 1);
        publish(&catalog, "Build", "Right", 1);
        let task = &Kept::of(&catalog).tasks[0];
        for (text, is_named) in
            [("", true), ("uil", true), ("ght", true), ("left", true), ("dl", false), ("x", false)]
        {
            assert_eq!(task.is_named(text), is_named, "{text:?}");
        }
    }
}
