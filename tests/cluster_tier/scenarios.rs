//! All scenarios, side by side in one cluster: starting one takes longer than each of them.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Instant;

use futures::FutureExt;
use futures::future::BoxFuture;
use tokio::task::JoinSet;

use crate::world::{Grounds, Site};
use crate::{classes, harness, life, lines, names};

/// Names a scenario as it is called.
macro_rules! scenario {
    ($module:ident::$name:ident($with:expr)) => {
        (stringify!($name), $module::$name($with).boxed())
    };
}

type Scenario = (&'static str, BoxFuture<'static, ()>);

fn scenarios(site: &Arc<Site>) -> Vec<Scenario> {
    let (site, grounds) = (|| Arc::clone(site), || Arc::clone(&site.grounds));
    vec![
        scenario!(lines::a_shell_of_busybox_is_read_back_line_by_line(site())),
        scenario!(lines::an_image_without_a_shell_is_read_back_line_by_line(site())),
        scenario!(lines::an_image_with_another_libc_is_read_back_line_by_line(site())),
        scenario!(classes::an_image_name_that_can_never_be_fails_at_once(site())),
        scenario!(classes::an_image_that_is_not_there_is_waited_for_and_then_given_up(site())),
        scenario!(classes::a_secret_that_is_not_there_is_waited_for_and_then_given_up(site())),
        scenario!(classes::a_worker_that_no_node_has_room_for_is_given_up_at_its_pending_timeout(site())),
        scenario!(classes::a_command_that_fails_is_its_users_and_keeps_its_code(site())),
        scenario!(classes::a_command_that_runs_too_long_is_ended_and_its_lines_are_kept(site())),
        scenario!(classes::a_command_that_needs_too_much_memory_is_told_so(site())),
        scenario!(classes::a_command_that_gets_over_a_child_without_memory_has_not_failed(site())),
        scenario!(classes::an_agent_image_without_the_agent_is_infrastructure(grounds())),
        scenario!(classes::a_failing_init_container_is_infrastructure(site())),
        scenario!(classes::a_pod_that_somebody_deletes_is_infrastructure(site())),
        scenario!(classes::a_pod_that_somebody_deletes_by_force_is_lost(site())),
        scenario!(names::the_agent_finds_log_ingest_by_name_where_there_is_no_libc(site())),
        scenario!(life::a_scale_down_ends_workers_gently_and_keeps_their_lines(site())),
        scenario!(life::a_worker_that_is_evicted_is_tried_again(site())),
        scenario!(life::p1_p2_a_scaler_that_is_killed_in_between_runs_each_command_once(grounds())),
    ]
}

/// Runs one, and says whether it went well. What went wrong has been printed by then.
async fn run((name, scenario): Scenario) -> Result<(), &'static str> {
    let start = Instant::now();
    let passed = AssertUnwindSafe(scenario).catch_unwind().await.is_ok();
    println!("{} {name} ({:.1} s)", if passed { "ok" } else { "FAILED" }, start.elapsed().as_secs_f32());
    passed.then_some(()).ok_or(name)
}

#[tokio::test]
async fn everything_works_on_a_real_node_and_each_failure_says_what_it_is() {
    if !harness::possible() {
        return;
    }
    let grounds = Grounds::start().await;
    let site = Arc::new(Site::start(&grounds, &[]).await);
    let side_by_side: JoinSet<_> = scenarios(&site).into_iter().map(run).collect();
    let mut results = side_by_side.join_all().await;
    site.no_pod_is_left().await;
    // It takes everything else with it.
    let last = Arc::clone(&site);
    let last = async move { classes::a_node_that_is_gone_takes_its_workers_with_it(&last).await };
    results.push(run(("a_node_that_is_gone_takes_its_workers_with_it", last.boxed())).await);
    let failed: Vec<_> = results.into_iter().filter_map(Result::err).collect();
    assert!(failed.is_empty(), "{failed:#?}");
}
