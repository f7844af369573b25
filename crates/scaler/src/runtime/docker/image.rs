//! Images: pulled where they are missing, once for all workers that wait for one.
//!
//! An image that is there is used, unless its name may mean another one tomorrow (`latest`): then it is pulled
//! first, as Kubernetes does. Where that fails and there is an image of that name, it is used all the same: on a
//! machine with Docker it was most likely built there.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bollard::Docker;
use bollard::errors::Error;
use bollard::query_parameters::CreateImageOptionsBuilder;
use futures::future::{BoxFuture, FutureExt, Shared};
use futures::{Stream, StreamExt};
use tokio::time::Instant;

use super::daemon::{CALL_LIMIT, found, within};
use super::refusal::Trouble;
use crate::metrics::{Metrics, kind};

/// A pull of which nothing is heard for so long has failed: a layer is told of many times a second while it comes,
/// and once it is unpacked, which takes a slow disk minutes.
const SILENCE: Duration = Duration::from_mins(5);

/// What was just pulled is not pulled again.
const FRESH: Duration = Duration::from_mins(1);

/// What could not be pulled is not tried again before.
const RETRY: Duration = Duration::from_secs(5);

/// The images of one Docker; cheap to clone.
#[derive(Clone)]
pub(super) struct Images {
    docker: Docker,
    metrics: Metrics,
    pulls: Arc<Mutex<BTreeMap<String, Pull>>>,
}

/// A pull that runs, or what became of it.
struct Pull {
    begun: Instant,
    answer: Shared<BoxFuture<'static, Result<(), Trouble>>>,
}

impl Images {
    pub(super) fn new(docker: Docker, metrics: Metrics) -> Self {
        Self { docker, metrics, pulls: Arc::default() }
    }

    /// Gets an image, and gives its id.
    pub(super) async fn ensure(&self, image: &str) -> Result<String, Trouble> {
        let here = self.look(image).await?;
        if let Some(id) = &here
            && !is_moving(image)
        {
            return Ok(id.clone());
        }
        match (self.pull(image).await, here) {
            (Ok(()), _) => self.look(image).await?.ok_or_else(|| gone(image)),
            (Err(trouble), Some(id)) => {
                tracing::warn!(
                    image,
                    why = trouble.message,
                    "cannot pull an image; using the one that is there"
                );
                Ok(id)
            }
            (Err(trouble), None) => Err(trouble),
        }
    }

    async fn look(&self, image: &str) -> Result<Option<String>, Trouble> {
        let found = found(within(CALL_LIMIT, self.docker.inspect_image(image)).await);
        let found = found.map_err(|error| Trouble::image(image, &error))?;
        Ok(found.map(|found| found.id.unwrap_or_else(|| image.to_owned())))
    }

    async fn pull(&self, image: &str) -> Result<(), Trouble> {
        let answer = {
            // Plain data that no panic can leave half changed; not held across an await.
            let mut pulls = self.pulls.lock().unwrap_or_else(PoisonError::into_inner);
            pulls.retain(|_, pull| pull.is_of_use());
            let begin = || Pull { begun: Instant::now(), answer: self.begin(image.to_owned()) };
            pulls.entry(image.to_owned()).or_insert_with(begin).answer.clone()
        };
        answer.await
    }

    fn begin(&self, image: String) -> Shared<BoxFuture<'static, Result<(), Trouble>>> {
        let Self { docker, metrics, .. } = self.clone();
        async move {
            tracing::info!(image, "pulling an image");
            let (name, tag) = split(&image);
            let options = CreateImageOptionsBuilder::default().from_image(name);
            let options = tag.map_or(options.clone(), |tag| options.tag(tag)).build();
            let pulled = drain(docker.create_image(Some(options), None, None)).await;
            let outcome = if pulled.is_ok() { "pulled" } else { "failed" };
            metrics.image_pulls.get_or_create(&kind(outcome)).inc();
            pulled.map_err(|error| Trouble::image(&image, &error))
        }
        .boxed()
        .shared()
    }
}

impl Pull {
    fn is_of_use(&self) -> bool {
        let age = self.begun.elapsed();
        match self.answer.peek() {
            None => true,
            Some(Ok(())) => age < FRESH,
            Some(Err(_)) => age < RETRY,
        }
    }
}

/// Reads what Docker tells of a pull to its end.
async fn drain<T>(progress: impl Stream<Item = Result<T, Error>>) -> Result<(), Error> {
    let mut progress = Box::pin(progress);
    loop {
        match tokio::time::timeout(SILENCE, progress.next()).await {
            Ok(None) => return Ok(()),
            Ok(Some(step)) => drop(step?),
            Err(_) => return Err(Error::RequestTimeoutError),
        }
    }
}

fn gone(image: &str) -> Trouble {
    Trouble::unreachable(format!("image {image}: it was pulled, and taken away again"))
}

/// Whether a name may mean another image tomorrow: it says `latest`, or nothing, which means the same.
fn is_moving(image: &str) -> bool {
    matches!(split(image), (_, Some("latest")))
}

/// A name and its tag. Docker would pull all tags of a name without one.
fn split(image: &str) -> (&str, Option<&str>) {
    if image.contains('@') {
        return (image, None);
    }
    // A colon before the last slash is that of a registry's port.
    let last = image.rfind('/').map_or(0, |slash| slash + 1);
    match image[last..].rfind(':') {
        Some(colon) => (&image[..last + colon], Some(&image[last + colon + 1..])),
        None => (image, Some("latest")),
    }
}

#[cfg(test)]
mod tests {
    use futures::stream;

    use super::*;

    #[test]
    fn a_name_without_a_tag_means_latest_and_only_that_is_pulled_although_it_is_there() {
        for (image, expected, moving) in [
            ("busybox", ("busybox", Some("latest")), true),
            ("busybox:latest", ("busybox", Some("latest")), true),
            ("busybox:1.36", ("busybox", Some("1.36")), false),
            ("registry:5000/team/app", ("registry:5000/team/app", Some("latest")), true),
            ("registry:5000/team/app:7", ("registry:5000/team/app", Some("7")), false),
            ("app@sha256:0123", ("app@sha256:0123", None), false),
            ("app:latest@sha256:0123", ("app:latest@sha256:0123", None), false),
        ] {
            assert_eq!(split(image), expected, "{image}");
            assert_eq!(is_moving(image), moving, "{image}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_pull_that_falls_silent_has_failed_and_one_that_is_slow_has_not() {
        let slow = stream::iter(0..5).then(|step| async move {
            tokio::time::sleep(SILENCE / 2).await;
            Ok(step)
        });
        assert!(drain(slow).await.is_ok());
        let silent = stream::pending::<Result<(), Error>>();
        assert!(matches!(drain(silent).await, Err(Error::RequestTimeoutError)));
        let refused = stream::iter([Ok(()), Err(Error::DockerStreamError { error: "no".to_owned() })]);
        assert!(drain(refused).await.is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_is_everybodys_for_a_while() {
        let pull = |answer: Result<(), Trouble>| Pull {
            begun: Instant::now(),
            answer: async move { answer }.boxed().shared(),
        };
        let (good, bad) = (pull(Ok(())), pull(Err(gone("x"))));
        assert!(good.is_of_use() && bad.is_of_use(), "nobody has waited for them yet");
        let _both = (good.answer.clone().await, bad.answer.clone().await);
        tokio::time::advance(RETRY).await;
        assert!(good.is_of_use() && !bad.is_of_use());
        tokio::time::advance(FRESH).await;
        assert!(!good.is_of_use());
    }
}
