//! The scaler on a real API server: how soon a Pod is asked for, how many in a second beside a bare
//! client, what ten thousand of them cost, and how soon they are adopted.

use std::collections::BTreeSet;
use std::pin::pin;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use futures::{StreamExt, TryStreamExt};
use k8s_openapi::api::core::v1::{Node, Pod};
use kube::api::{DeleteParams, ListParams, PostParams};
use kube::runtime::watcher::{self, Event, watcher};
use kube::{Api, Client};
use ottoscaler_tests::ingest::Ingest;
use ottoscaler_tests::kube_api::{ADMIN, KubeApi};
use ottoscaler_tests::kube_scaler::{KubeScaler, Replica};
use ottoscaler_tests::kube_tools;
use ottoscaler_tests::redis_server::{Persistence, RedisServer};
use ottoscaler_tests::rights::{allow, rules};
use ottoscaler_tests::scaler::submit;
use ottoscaler_tests::wait;
use serde_json::json;
use tempfile::TempDir;
use tokio::process::{Child, Command};

use crate::stats::{Durations, Table};

/// What takes longer than this does not come.
const LIMIT: Duration = Duration::from_mins(10);

/// Creates in flight of the bare client: where more bring no more.
const IN_FLIGHT: usize = 64;

/// The node that every Pod is put on; kwok plays it.
const NODE: &str = "kwok-node";

struct Bench {
    api: KubeApi,
    redis: RedisServer,
    ingest: Ingest,
    namespace: String,
    scaler: KubeScaler,
    client: Client,
}

pub(crate) async fn all(table: &mut Table, dir: &TempDir, scale: usize) -> Result<()> {
    let api = KubeApi::start().await;
    let redis = RedisServer::start(Persistence::AppendOnly).await;
    let ingest = Ingest::start(&dir.path().join("kubernetes"), &[]).await;
    let namespace = api.namespace().await;
    allow(&api, &namespace, rules()).await;
    let classes = dir.path().join("workers.yaml");
    std::fs::write(&classes, format!("podTemplate: {{ spec: {{ nodeName: {NODE} }} }}"))?;
    let flags = [&format!("--worker-config={}", classes.display()), "--max-workers=20000"];
    let scaler = KubeScaler::new(&api, &namespace, &redis.url(), &ingest.url()).with(&flags);
    let client = api.client(ADMIN);
    let mut bench = Bench { api, redis, ingest, namespace, scaler, client };
    bench.latency(table, 500 / scale).await?;
    bench.rate(table, 2_000 / scale).await?;
    bench.many(table, dir, 10_000 / scale).await?;
    bench.ingest.terminate().await;
    Ok(())
}

impl Bench {
    fn pods(&self) -> Api<Pod> {
        Api::namespaced(self.client.clone(), &self.namespace)
    }

    /// Submits events one after another and looks when a watch tells of the Pod of each.
    async fn latency(&mut self, table: &mut Table, events: usize) -> Result<()> {
        let replica = self.scaler.lead().await;
        let pods = self.pods();
        let mut told = pin!(watcher(pods.clone(), watcher::Config::default()));
        while !matches!(told.try_next().await?.context("the watch goes on")?, Event::InitDone) {}
        let mut redis = self.redis.connect().await;
        let mut seen = Durations::new();
        for number in 0..events {
            let task = format!("latency-{number}");
            let start = Instant::now();
            submit(&mut redis, &[("type", "scale_up"), ("worker_count", "1"), ("task_id", &task)]).await;
            while !matches!(told.try_next().await?.context("the watch goes on")?, Event::Apply(_)) {}
            seen.record(start.elapsed());
        }
        let mut bare = Durations::new();
        let template = self.template().await?;
        for number in 0..events {
            let start = Instant::now();
            pods.create(&PostParams::default(), &copy(&template, "bare", number)).await?;
            while !matches!(told.try_next().await?.context("the watch goes on")?, Event::Apply(_)) {}
            bare.record(start.elapsed());
        }
        let asked = replica.quantile("otto_scaler_event_to_create_seconds", 0.99).await;
        table.row(
            "XADD → create request, p99 at most (must: 50 ms, aim: 25 ms)",
            format!("{:.1} ms", asked * 1e3),
        );
        table.row("XADD → a watch tells of the Pod", seen.to_string());
        table.row("limit: bare create → a watch tells of the Pod", bare.to_string());
        replica.terminate().await;
        self.clear().await
    }

    /// The same number of Pods by the scaler and by a bare client, twice in turn.
    async fn rate(&mut self, table: &mut Table, count: usize) -> Result<()> {
        let replica = self.scaler.lead().await;
        let mut redis = self.redis.connect().await;
        let mut rates = [Vec::new(), Vec::new()];
        let mut cpu = 0.0;
        for round in 0..2 {
            let start = Instant::now();
            cpu -= replica.cpu_seconds();
            for part in 0..count.div_ceil(1_000) {
                let (task, workers) = (format!("rate-{round}-{part}"), count.min(1_000).to_string());
                submit(&mut redis, &[("type", "scale_up"), ("worker_count", &workers), ("task_id", &task)])
                    .await;
            }
            wait::until("all are made", LIMIT, || async {
                let made = replica.metric("otto_scaler_creates_total{kind=\"new\"}").await;
                if made >= per_round(count, round + 1) { Ok(()) } else { Err(made.to_string()) }
            })
            .await;
            rates[0].push(per_second(count, start.elapsed()));
            cpu += replica.cpu_seconds();
            let template = self.template().await?;
            let pods = self.pods();
            let start = Instant::now();
            futures::stream::iter(0..count)
                .map(|number| {
                    let (pods, pod) = (pods.clone(), copy(&template, &format!("bare-{round}"), number));
                    async move { pods.create(&PostParams::default(), &pod).await }
                })
                .buffer_unordered(IN_FLIGHT)
                .try_for_each(async |_| Ok(()))
                .await?;
            rates[1].push(per_second(count, start.elapsed()));
        }
        let [ours, bare] = rates.map(|rates| rates.iter().sum::<f64>() / 2.0);
        table.row("limit: creates by a bare client, 64 in flight", format!("{bare:.0} /s"));
        table.row(
            "creates by the scaler (must: 0.8 of bare, aim: 0.95)",
            format!("{ours:.0} /s = {:.2} of bare", ours / bare),
        );
        table.row("scaler's CPU for a create", format!("{:.2} ms", cpu * 1e3 / per_round(count, 2)));
        replica.terminate().await;
        self.clear().await
    }

    /// Ten thousand live workers, on a node that kwok plays.
    async fn many(&mut self, table: &mut Table, dir: &TempDir, count: usize) -> Result<()> {
        let nodes: Api<Node> = Api::all(self.client.clone());
        let node = json!({ "metadata": { "name": NODE, "annotations": { "kwok.x-k8s.io/node": "fake" } } });
        nodes.create(&PostParams::default(), &serde_json::from_value(node)?).await?;
        let kwok =
            kube_tools::on_path("kwok").map_err(|missing| anyhow::anyhow!("{missing}: run just bench"))?;
        let mut command = Command::new(kwok);
        command.arg("--kubeconfig").arg(self.api.kubeconfig(ADMIN, &self.namespace));
        let stages = dir.path().join("kwok.yaml");
        std::fs::write(&stages, include_str!("kwok.yaml"))?;
        command.arg("--config").arg(&stages);
        command.args(["--manage-all-nodes=true", "--node-lease-duration-seconds=40"]);
        // Older versions of etcd cannot tell how far a list has got by a watch, and kwok would ask for ever.
        command.env("KUBE_FEATURE_WatchListClient", "false");
        let log = std::fs::File::create(dir.path().join("kwok.log"))?;
        let mut kwok = command.stdout(log.try_clone()?).stderr(log).kill_on_drop(true).spawn()?;

        let mut replica = self.scaler.lead().await;
        let mut redis = self.redis.connect().await;
        let start = Instant::now();
        for part in 0..count.div_ceil(1_000) {
            let (task, workers) = (format!("many-{part}"), count.min(1_000).to_string());
            submit(&mut redis, &[("type", "scale_up"), ("worker_count", &workers), ("task_id", &task)]).await;
        }
        running(&replica, &mut kwok, count).await?;
        let took = start.elapsed();
        table.row(
            format!("{count} live workers, scaler's memory (must: 128 MiB, aim: 64 MiB)"),
            format!(
                "RssAnon {:.1} MiB, peak RSS {:.1} MiB; all running after {took:.1?}",
                replica.status_mib("RssAnon"),
                replica.status_mib("VmHWM")
            ),
        );
        let idle = replica.cpu_seconds();
        tokio::time::sleep(Duration::from_secs(5)).await;
        let idle = (replica.cpu_seconds() - idle) / 5.0;
        table.row(
            format!("{count} live workers, scaler's CPU while nothing happens"),
            format!("{:.1} %", idle * 100.0),
        );
        replica.service().signal(nix::sys::signal::Signal::SIGKILL);
        let start = Instant::now();
        let replica = self.scaler.lead().await;
        wait::until("it is ready", LIMIT, || async {
            match replica.get("/readyz").await {
                (200, _) => Ok(()),
                (_, text) => Err(text),
            }
        })
        .await;
        running(&replica, &mut kwok, count).await?;
        let adopted = start.elapsed();
        table.row(
            format!("adoption of {count} Pods after SIGKILL (aim: 5 s on top of the Lease's 4 s)"),
            format!("{adopted:.1?} from start to all known"),
        );
        ensure!(self.names().await?.len() == count, "no Pod was made twice");
        replica.terminate().await;
        kwok.kill().await?;
        Ok(())
    }

    async fn names(&self) -> Result<BTreeSet<String>> {
        let pods = self.pods().list_metadata(&ListParams::default()).await?;
        Ok(pods.items.into_iter().filter_map(|pod| pod.metadata.name).collect())
    }

    /// What the bare client makes: the very Pods of the scaler.
    async fn template(&self) -> Result<Pod> {
        let pods = self.pods().list(&ListParams::default().limit(1)).await?;
        let mut pod = pods.items.into_iter().next().context("the scaler has made a Pod")?;
        pod.status = None;
        pod.metadata.managed_fields = None;
        pod.metadata.resource_version = None;
        pod.metadata.uid = None;
        pod.metadata.creation_timestamp = None;
        // Not one of the scaler's.
        pod.metadata.labels = Some([("bare".to_owned(), "yes".to_owned())].into());
        Ok(pod)
    }

    /// Removes all Pods, and what Redis knows of them.
    async fn clear(&self) -> Result<()> {
        let now = DeleteParams::default().grace_period(0);
        let _removed = self.pods().delete_collection(&now, &ListParams::default()).await?;
        redis::cmd("FLUSHALL").query_async::<()>(&mut self.redis.connect().await).await?;
        wait::until("all pods are gone", LIMIT, || async {
            let names = self.names().await.map_err(|error| error.to_string())?;
            if names.is_empty() { Ok(()) } else { Err(names.len().to_string()) }
        })
        .await;
        Ok(())
    }
}

async fn running(replica: &Replica, kwok: &mut Child, count: usize) -> Result<()> {
    wait::until("all are running", LIMIT, || async {
        let running = replica.metric("otto_scaler_workers{kind=\"running\"}").await;
        if running >= per_round(count, 1) { Ok(()) } else { Err(running.to_string()) }
    })
    .await;
    ensure!(kwok.try_wait()?.is_none(), "kwok has ended");
    Ok(())
}

fn copy(template: &Pod, name: &str, number: usize) -> Pod {
    let mut pod = template.clone();
    pod.metadata.name = Some(format!("{name}-{number}"));
    pod
}

#[allow(clippy::cast_precision_loss, reason = "some thousands")]
fn per_round(count: usize, rounds: usize) -> f64 {
    (count * rounds) as f64
}

#[allow(clippy::cast_precision_loss, reason = "some thousands")]
fn per_second(count: usize, took: Duration) -> f64 {
    count as f64 / took.as_secs_f64()
}
