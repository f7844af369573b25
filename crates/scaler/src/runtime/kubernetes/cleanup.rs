//! `ottoscaler cleanup`: takes away what scalers have made in a namespace, once there are none any more.
//!
//! It is done when nothing is left, so that whoever waits for it knows. Doing it again does no harm; on failure it
//! says what is left.

use std::collections::HashSet;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use clap::Args;
use futures::{StreamExt, TryStreamExt, stream};
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::Pod;
use kube::Api;
use kube::api::{DeleteParams, ListParams};
use ottoscaler_kit::time::parse_duration;
use tokio::time::Instant;

use super::{connect, names};
use crate::config::KubernetesArgs;

/// A Pod's annotations may take 256 KiB, and all of a page is in memory.
const PAGE: u32 = 100;
/// Deletes at once.
const IN_FLIGHT: usize = 16;
/// Between two looks at what is left.
const PAUSE: Duration = Duration::from_secs(1);
/// Beyond the time for commands to end, what kubelets may be late.
const MARGIN: Duration = Duration::from_mins(1);

/// How workers are stopped for good.
#[derive(Clone, Debug, PartialEq, Eq, Args)]
pub struct CleanupArgs {
    /// Between SIGTERM and SIGKILL for a command that runs. Its last lines may not come any more.
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = parse_duration)]
    pub stop_within: Duration,
}

/// Removes the Pods of all workers of the installation, and its Lease.
pub async fn cleanup(args: &KubernetesArgs, how: &CleanupArgs) -> Result<()> {
    let (client, own) = connect().await?;
    let namespace = args.namespace.clone().unwrap_or(own);
    let workers = Workers {
        pods: Api::namespaced(client.clone(), &namespace),
        selector: names::selector(&args.instance),
        grace: u32::try_from(how.stop_within.as_secs()).unwrap_or(u32::MAX),
    };
    workers.remove(how.stop_within + MARGIN).await.with_context(|| format!("namespace {namespace}"))?;
    let leases: Api<Lease> = Api::namespaced(client, &namespace);
    gone(leases.delete(&args.instance, &DeleteParams::default()).await)
        .with_context(|| format!("cannot delete the lease {} in namespace {namespace}", args.instance))?;
    tracing::info!(namespace, instance = args.instance, "nothing is left");
    Ok(())
}

struct Workers {
    pods: Api<Pod>,
    selector: String,
    grace: u32,
}

impl Workers {
    async fn remove(&self, limit: Duration) -> Result<()> {
        let deadline = Instant::now() + limit;
        let mut asked = HashSet::new();
        loop {
            let left = self.names().await.context("cannot list the Pods of workers")?;
            if left.is_empty() {
                return Ok(());
            }
            if Instant::now() >= deadline {
                bail!("{} Pods are still there after {limit:?}, {} among them", left.len(), left[0]);
            }
            let new: Vec<_> = left.into_iter().filter(|name| asked.insert(name.clone())).collect();
            self.delete(&new).await?;
            tokio::time::sleep(PAUSE).await;
        }
    }

    async fn names(&self) -> kube::Result<Vec<String>> {
        let mut params = ListParams::default().labels(&self.selector).limit(PAGE);
        let mut names = Vec::new();
        loop {
            let page = self.pods.list_metadata(&params).await?;
            names.extend(page.items.into_iter().filter_map(|pod| pod.metadata.name));
            match page.metadata.continue_.filter(|token| !token.is_empty()) {
                Some(token) => params = params.continue_token(&token),
                None => return Ok(names),
            }
        }
    }

    async fn delete(&self, names: &[String]) -> Result<()> {
        let how = DeleteParams { grace_period_seconds: Some(self.grace), ..DeleteParams::default() };
        let one = async |name: &String| {
            let answer = self.pods.delete(name, &how).await;
            gone(answer).with_context(|| format!("cannot delete the Pod {name}"))
        };
        stream::iter(names).map(one).buffer_unordered(IN_FLIGHT).try_collect::<()>().await
    }
}

/// What is not there any more needs no deletion.
fn gone<T>(answer: kube::Result<T>) -> kube::Result<()> {
    match answer {
        Ok(_) => Ok(()),
        Err(kube::Error::Api(status)) if status.code == 404 => Ok(()),
        Err(error) => Err(error),
    }
}
