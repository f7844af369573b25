//! All scenarios, side by side on one Docker; those that restart it come after.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Instant;

use futures::FutureExt;
use futures::future::BoxFuture;
use ottoscaler_tests::docker_engine::DockerEngine;
use ottoscaler_tests::image::{ImageConfig, Source};
use ottoscaler_tests::kube_tools;
use ottoscaler_tests::worker_images::COMPILERS;
use tokio::task::JoinSet;

use crate::world::{Grounds, Site};
use crate::{classes, engine, life, lines};

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
        scenario!(lines::an_image_whose_user_is_nobody_is_read_back_line_by_line(site())),
        scenario!(lines::an_agent_that_is_a_file_beside_the_scaler_will_do(grounds())),
        scenario!(classes::an_image_name_that_can_never_be_fails_at_once(site())),
        scenario!(classes::an_image_that_is_not_there_is_waited_for_and_then_given_up(site())),
        scenario!(classes::a_latest_image_that_only_this_machine_has_is_used(site())),
        scenario!(classes::what_docker_does_not_have_is_refused_by_its_field(site())),
        scenario!(classes::a_command_that_is_not_there_exits_as_in_a_shell(site())),
        scenario!(classes::a_command_that_runs_too_long_is_ended_and_its_lines_are_kept(site())),
        scenario!(classes::a_command_that_needs_too_much_memory_is_told_so(site())),
        scenario!(classes::a_container_that_somebody_kills_is_infrastructure_and_tried_again(site())),
        scenario!(classes::a_container_that_somebody_stops_is_infrastructure_and_loses_no_line(site())),
        scenario!(classes::a_container_that_somebody_removes_is_lost(site())),
        scenario!(classes::a_command_has_no_privileges_and_nothing_of_the_host(site())),
        scenario!(classes::a_class_decides_what_can_be_written_and_what_root_may_do(site())),
        scenario!(classes::a_worker_that_waits_for_its_image_can_be_cancelled(site())),
        scenario!(life::a_scale_down_ends_workers_gently_and_keeps_their_lines(site())),
        scenario!(life::p1_p2_a_scaler_that_is_killed_in_between_runs_each_command_once(grounds())),
        scenario!(life::p2_two_scalers_make_each_worker_once(grounds())),
        scenario!(life::p1_a_stop_is_not_asked_for_twice_by_the_next_scaler(grounds())),
        scenario!(life::a_network_and_an_agents_volume_that_somebody_removes_are_made_again(grounds())),
        scenario!(life::p9_a_container_stays_until_its_log_is_complete(grounds())),
        scenario!(life::p5_p9_what_a_killed_agent_left_is_in_its_log_before_that_is_closed(grounds())),
        scenario!(life::a_container_that_cannot_be_looked_at_holds_up_no_other(grounds())),
        scenario!(life::an_internal_network_is_made_and_one_that_has_a_way_out_is_refused(grounds())),
    ]
}

/// Runs one, and says whether it went well. What went wrong has been printed by then.
async fn run((name, scenario): Scenario) -> Result<(), &'static str> {
    let start = Instant::now();
    let passed = AssertUnwindSafe(scenario).catch_unwind().await.is_ok();
    println!("{} {name} ({:.1} s)", if passed { "ok" } else { "FAILED" }, start.elapsed().as_secs_f32());
    passed.then_some(()).ok_or(name)
}

/// Whether this machine can run a Docker. On CI it has to.
fn possible() -> bool {
    let compilers = COMPILERS.into_iter().filter_map(|compiler| kube_tools::on_path(compiler).err());
    ottoscaler_tests::tier::runs(DockerEngine::possible().err().into_iter().chain(compilers))
}

/// Images that only these scenarios need.
async fn more_images(grounds: &Grounds) {
    let busybox = kube_tools::on_path("busybox").unwrap();
    let files = [("/bin/busybox", Source::Path(&busybox)), ("/bin/sh", Source::Path(&busybox))];
    let shell = ImageConfig { env: &["PATH=/bin"], ..ImageConfig::default() };
    let engine = grounds.engine().await;
    engine.image("busybox:latest", &files, &shell).await;
    engine.image("nobody:test", &files, &ImageConfig { user: "65534:65534", ..shell }).await;
}

#[tokio::test]
async fn everything_works_on_a_real_docker_and_each_failure_says_what_it_is() {
    if !possible() {
        return;
    }
    let grounds = Grounds::start().await;
    more_images(&grounds).await;
    let site = Arc::new(Site::start(&grounds, &[]).await);
    let side_by_side: JoinSet<_> = scenarios(&site).into_iter().map(run).collect();
    let mut results = side_by_side.join_all().await;
    site.is_gone(None).await;
    drop(site);
    for alone in [
        scenario!(engine::a_docker_that_is_restarted_ends_workers_as_infrastructure(Arc::clone(&grounds))),
        scenario!(engine::workers_that_outlive_docker_go_on_and_are_told_once(Arc::clone(&grounds))),
    ] {
        results.push(run(alone).await);
    }
    let failed: Vec<_> = results.into_iter().filter_map(Result::err).collect();
    assert!(failed.is_empty(), "{failed:#?}");
}
