//! The chart on a real node, from install to uninstall, with both versions of Helm, where the namespaces of the
//! release and of its workers take restricted Pods alone. Network policies are installed and accepted, but nothing
//! here enforces them: this node's network plugin cannot.

mod images;
mod leftovers;
mod release;
mod task;

use std::time::Instant;

use ottoscaler_tests::chart_tools::HELMS;
use ottoscaler_tests::redis_server::{Persistence, RedisServer};

use self::release::{Ground, Release};
use self::task::Task;
use crate::harness;

/// The values that the first install has; everything else is as the chart has it.
const TRIAL: [&str; 1] = ["redis.bundled.enabled=true"];

/// Changes the Pods of both services; written below what was set before.
const CHANGE: &str = "ottoscaler: {logFilter: warn}\nlogIngest: {logFilter: warn}\n";

/// Names a part as it is called.
macro_rules! part {
    ($name:ident($($with:expr),*)) => {
        timed(stringify!($name), $name($($with),*)).await
    };
}

/// Runs a part, and says how long it took.
async fn timed<T>(name: &str, part: impl Future<Output = T>) -> T {
    let start = Instant::now();
    let done = part.await;
    println!("ok {name} ({:.1} s)", start.elapsed().as_secs_f32());
    done
}

#[tokio::test]
async fn p5_an_installed_system_is_upgraded_disturbed_and_rolled_back_without_losing_a_line() {
    if !harness::possible() {
        return;
    }
    let ground = Ground::start().await;
    let [helm3, helm4] = HELMS;
    let release = part!(the_chart_is_installed_where_only_restricted_pods_are_taken(&ground, helm3));
    part!(helm_test_runs_a_task_that_succeeds_and_one_that_fails(&release));
    let first = part!(a_task_by_xadd_is_read_back_through_the_service(&release));
    part!(an_upgrade_during_a_task_of_a_minute_loses_doubles_and_reorders_nothing(&release));
    part!(pods_of_both_services_deleted_during_a_task_lose_nothing(&release));
    part!(a_rollback_during_a_task_loses_nothing_and_everything_works_afterwards(&release));
    part!(a_log_ingest_that_cannot_start_is_healed_by_a_rollback_and_no_line_is_lost(&release));
    part!(an_uninstall_ends_running_workers_and_leaves_the_log_volume_and_says_so(release));
    part!(the_other_helm_takes_the_logs_up_again_with_a_redis_by_url(&ground, helm4, &first));
    ground.stop().await;
}

async fn the_chart_is_installed_where_only_restricted_pods_are_taken<'a>(
    ground: &'a Ground,
    helm: &'static str,
) -> Release<'a> {
    let release = Release::install(ground, helm, &TRIAL).await;
    let notes = release.helm(&["get", "notes", "ottoscaler"]).await;
    for promised in ["persistentvolumeclaim/ottoscaler-log-ingest", "helm test ottoscaler"] {
        assert!(notes.contains(promised), "{notes}");
    }
    for component in ["scaler", "log-ingest", "redis"] {
        assert!(!release.pods(component).await.is_empty(), "{component}");
    }
    release
}

/// What the hook itself says is not taken at its word: the workers that it has had made are looked at.
async fn helm_test_runs_a_task_that_succeeds_and_one_that_fails(release: &Release<'_>) {
    let before = release.ended_workers().await;
    let said = release.helm(&["test", "ottoscaler", "--timeout=4m"]).await;
    assert!(said.contains("Succeeded"), "{said}");
    let mut codes: Vec<_> = release.ended_workers().await.into_iter().collect();
    codes.retain(|(worker, _)| !before.contains_key(worker));
    let mut codes: Vec<_> = codes.into_iter().map(|(_, entry)| entry["exit_code"].clone()).collect();
    codes.sort();
    assert_eq!(codes, ["0", "64"]);
}

async fn a_task_by_xadd_is_read_back_through_the_service(release: &Release<'_>) -> String {
    let task = Task::submit(release, "first", 100).await;
    task.ends_whole().await
}

async fn an_upgrade_during_a_task_of_a_minute_loses_doubles_and_reorders_nothing(release: &Release<'_>) {
    let task = Task::submit(release, "upgrade", 6_000).await;
    task.has_said(100).await;
    let before = release.services().await;
    release.as_the_page_says("helm get values ").await;
    let values = release.desk().join("values.yaml");
    let set = std::fs::read_to_string(&values).unwrap();
    std::fs::write(&values, set + CHANGE).unwrap();
    release.as_the_page_says("helm upgrade ").await;
    release.are_replaced(&before).await;
    task.runs_still().await;
    task.ends_whole().await;
    let said = release.as_the_page_says("helm test ").await;
    assert!(said.contains("Succeeded"), "{said}");
}

async fn pods_of_both_services_deleted_during_a_task_lose_nothing(release: &Release<'_>) {
    let task = Task::submit(release, "deleted", 4_000).await;
    task.has_said(100).await;
    for component in ["scaler", "log-ingest"] {
        let before = release.pods(component).await;
        release.delete(&before).await;
        release.are_replaced(&before).await;
    }
    task.runs_still().await;
    task.ends_whole().await;
}

async fn a_rollback_during_a_task_loses_nothing_and_everything_works_afterwards(release: &Release<'_>) {
    let task = Task::submit(release, "rollback", 4_000).await;
    task.has_said(100).await;
    let before = release.services().await;
    release.as_the_page_says("helm rollback ").await;
    release.are_replaced(&before).await;
    task.runs_still().await;
    task.ends_whole().await;
    Task::submit(release, "afterwards", 100).await.ends_whole().await;
}

/// Nobody has to delete its Pod by hand.
async fn a_log_ingest_that_cannot_start_is_healed_by_a_rollback_and_no_line_is_lost(release: &Release<'_>) {
    let task = Task::submit(release, "healed", 6_000).await;
    task.has_said(100).await;
    let broken = ["upgrade", "ottoscaler", "CHART", "--reuse-values", "--set", "logIngest.image.tag=no-such"];
    release.helm(&broken).await;
    let stuck = release.lacks_its_image("log-ingest").await;
    release.as_the_page_says("helm rollback ").await;
    release.are_replaced(&stuck).await;
    task.runs_still().await;
    task.ends_whole().await;
}

async fn an_uninstall_ends_running_workers_and_leaves_the_log_volume_and_says_so(release: Release<'_>) {
    // It would go on for ten minutes.
    let task = Task::submit(&release, "endless", 60_000).await;
    task.has_said(100).await;
    let said = release.uninstall().await;
    assert!(said.contains("PersistentVolumeClaim") && said.contains("ottoscaler-log-ingest"), "{said}");
}

async fn the_other_helm_takes_the_logs_up_again_with_a_redis_by_url(
    ground: &Ground,
    helm: &'static str,
    earlier: &str,
) {
    let redis = RedisServer::start_on(ground.cluster.node_ip(), Persistence::None).await;
    let release =
        Release::install_with(ground, helm, redis.connect().await, &[&format!("redis.url={}", redis.url())])
            .await;
    helm_test_runs_a_task_that_succeeds_and_one_that_fails(&release).await;
    task::is_whole(&release, "first", earlier, 100).await;
    let said = release.uninstall().await;
    assert!(said.contains("PersistentVolumeClaim") && said.contains("ottoscaler-log-ingest"), "{said}");
}
