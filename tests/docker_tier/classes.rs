//! Each way in which a worker does not get on or ends badly: its state, its class, and what an operator is told,
//! which is printed as it is.

use std::sync::Arc;

use ottoscaler_tests::scaler::Entry;
use ottoscaler_tests::wait;

use crate::world::{LIMIT, Site};

/// The only worker of a task, once it has ended like this.
async fn ended_as(site: &Site, task: &str, state: &str, class: &str) -> (String, Entry) {
    let (worker, ended) = site.ended(task).await;
    assert_eq!((&*ended["state"], &*ended["class"]), (state, class), "{ended:?}");
    println!("EXPLAIN {task}: {state} ({class}): {}", ended["reason"]);
    (worker, ended)
}

/// A worker of a task whose command runs and has said so.
async fn running(site: &Site, task: &str, command: &str) -> String {
    site.submit(task, 1, &[("command", command)]).await;
    let worker = site.are(task, 1, "running").await.remove(0);
    site.has_said(&worker, "before").await;
    worker
}

pub(crate) async fn an_image_name_that_can_never_be_fails_at_once(site: Arc<Site>) {
    site.submit("name", 1, &[("image", "no image at all")]).await;
    let (_, ended) = ended_as(&site, "name", "failed", "policy").await;
    assert!(ended["reason"].contains("is no name of an image"), "{ended:?}");
    // Docker knows more rules.
    site.submit("colons", 1, &[("image", "image::1")]).await;
    let (worker, ended) = ended_as(&site, "colons", "failed", "policy").await;
    assert!(ended["reason"].contains("invalid reference"), "{ended:?}");
    site.is_gone(Some(&worker)).await;
}

pub(crate) async fn an_image_that_is_not_there_is_waited_for_and_then_given_up(site: Arc<Site>) {
    site.submit("image", 1, &[("image", "127.0.0.1:1/none:1")]).await;
    let waits = site.waits_for("image", "image 127.0.0.1:1/none:1").await;
    assert!(
        waits["next"].as_str().unwrap().contains("it fails (infra) if that lasts longer than 4s"),
        "{waits}"
    );
    let (worker, _) = ended_as(&site, "image", "failed", "infra").await;
    site.is_gone(Some(&worker)).await;
}

/// `latest` is pulled first, and where that does not work what was built here is used.
pub(crate) async fn a_latest_image_that_only_this_machine_has_is_used(site: Arc<Site>) {
    site.submit("latest", 1, &[("image", "busybox"), ("command", "echo here")]).await;
    let (worker, ended) = ended_as(&site, "latest", "succeeded", "").await;
    assert_eq!(ended["exit_code"], "0");
    assert_eq!(site.said("latest", &worker).await, ["here"]);
}

pub(crate) async fn what_docker_does_not_have_is_refused_by_its_field(site: Arc<Site>) {
    site.submit("secret", 1, &[("secret_env", r#"{"TOKEN":"absent/token"}"#)]).await;
    site.submit("class", 1, &[("resource_class", "huge")]).await;
    for (task, field) in [("secret", "secret_env: TOKEN"), ("class", "resource_class: there is no class")] {
        let (_, ended) = ended_as(&site, task, "failed", "policy").await;
        assert!(ended["reason"].contains(field), "{ended:?}");
    }
}

pub(crate) async fn a_command_that_is_not_there_exits_as_in_a_shell(site: Arc<Site>) {
    site.submit("absent", 1, &[("command", r#"["/no/such/program"]"#)]).await;
    let (worker, ended) = ended_as(&site, "absent", "failed", "user").await;
    assert_eq!(ended["exit_code"], "127");
    site.is_gone(Some(&worker)).await;
}

pub(crate) async fn a_command_that_runs_too_long_is_ended_and_its_lines_are_kept(site: Arc<Site>) {
    let command = "trap 'echo asked to end; exit 0' TERM; echo before; sleep 600 & wait";
    site.submit("late", 1, &[("command", command), ("timeout_seconds", "2")]).await;
    let (worker, ended) = ended_as(&site, "late", "failed", "policy").await;
    assert!(ended["reason"].contains("deadline"), "{ended:?}");
    let said = site.said("late", &worker).await;
    // Which of both is told first is no matter.
    let of_agent = said.iter().filter(|line| line.contains("it ran longer than 2s")).count();
    let of_command: Vec<_> = said.iter().filter(|line| !line.starts_with("otto-agent:")).collect();
    assert_eq!(of_command, ["before", "asked to end"]);
    assert_eq!(of_agent, 1, "{said:?}");
}

pub(crate) async fn a_command_that_needs_too_much_memory_is_told_so(site: Arc<Site>) {
    // The shell itself holds what it reads, and is what the kernel ends.
    let command = "echo before; a=x; while :; do a=$a$a$a$a; done";
    site.submit("memory", 1, &[("command", command), ("resource_class", "tight")]).await;
    let (worker, ended) = ended_as(&site, "memory", "failed", "policy").await;
    assert!(ended["reason"].contains("out of memory"), "{ended:?}");
    site.grounds.ingest.closed("memory", &worker).await;
}

pub(crate) async fn a_container_that_somebody_kills_is_infrastructure_and_tried_again(site: Arc<Site>) {
    let command = "echo before; [ $OTTO_ATTEMPT = 2 ] || exec sleep 600";
    site.submit("killed", 1, &[("command", command), ("max_attempts", "2")]).await;
    let first = site.are("killed", 1, "running").await.remove(0);
    site.has_said(&first, "before").await;
    site.grounds.docker(&["kill", &first]).await;
    let second = site.are("killed", 1, "succeeded").await.remove(0);
    assert_ne!(first, second);
    assert_eq!(site.said("killed", &second).await, ["before"]);
    // Its agent is gone, and so the scaler closes its log.
    site.grounds.ingest.closed("killed", &first).await;
    site.is_gone(Some(&first)).await;
}

pub(crate) async fn a_container_that_somebody_stops_is_infrastructure_and_loses_no_line(site: Arc<Site>) {
    let command = "trap 'echo asked to end; exit 9' TERM; echo before; sleep 600 & wait";
    let worker = running(&site, "stopped", command).await;
    site.grounds.docker(&["stop", &worker]).await;
    let (_, ended) = ended_as(&site, "stopped", "failed", "infra").await;
    assert!(ended["reason"].contains("signal 15") && ended["exit_code"] == "9", "{ended:?}");
    assert_eq!(site.said("stopped", &worker).await, ["before", "asked to end"]);
}

pub(crate) async fn a_container_that_somebody_removes_is_lost(site: Arc<Site>) {
    let worker = running(&site, "removed", "echo before; exec sleep 600").await;
    let start = std::time::Instant::now();
    site.grounds.docker(&["rm", "--force", &worker]).await;
    // By SIGKILL first: which of both is noticed depends on who is quicker.
    let (_, ended) = site.ended("removed").await;
    assert!(["lost", "failed"].contains(&&*ended["state"]), "{ended:?}");
    println!("EXPLAIN removed: {} after {:?}: {}", ended["state"], start.elapsed(), ended["reason"]);
    site.is_gone(Some(&worker)).await;
}

pub(crate) async fn a_command_has_no_privileges_and_nothing_of_the_host(site: Arc<Site>) {
    let command = "grep -E '^(CapEff|NoNewPrivs)' /proc/self/status; ls /var/run/docker.sock /run/docker.sock; \
                   touch /otto/x; echo end";
    site.submit("bare-handed", 1, &[("command", command)]).await;
    let (worker, _) = ended_as(&site, "bare-handed", "succeeded", "").await;
    let said = site.said("bare-handed", &worker).await;
    let status = |field: &str| {
        let line = said.iter().find(|line| line.starts_with(field)).unwrap_or_else(|| panic!("{said:?}"));
        line.split_whitespace().last().unwrap().to_owned()
    };
    assert_eq!((&*status("CapEff"), &*status("NoNewPrivs")), ("0000000000000000", "1"));
    assert!(said.iter().any(|line| line.contains("/otto/x") && line.contains("Read-only")), "{said:?}");
    assert_eq!(said.iter().filter(|line| line.contains("docker.sock: No such file")).count(), 2, "{said:?}");
}

pub(crate) async fn a_class_decides_what_can_be_written_and_what_root_may_do(site: Arc<Site>) {
    let command = "touch /x && echo root is open; touch /tmp/x && echo tmp is open; \
                   grep -q '^CapEff.*0000000000000000' /proc/self/status || echo has powers";
    for (class, expected) in
        [("closed", &["tmp is open"][..]), ("root", &["root is open", "tmp is open", "has powers"])]
    {
        let task = format!("class-{class}");
        site.submit(&task, 1, &[("command", command), ("resource_class", class)]).await;
        let (worker, _) = site.ended(&task).await;
        let said = site.said(&task, &worker).await;
        let said: Vec<_> = said.iter().filter(|line| !line.starts_with("touch:")).collect();
        assert_eq!(said, expected, "{class}");
    }
}

pub(crate) async fn a_worker_that_waits_for_its_image_can_be_cancelled(site: Arc<Site>) {
    site.submit("unwanted", 1, &[("image", "127.0.0.1:1/unwanted:1")]).await;
    site.waits_for("unwanted", "image").await;
    site.scale_down("unwanted", 0).await;
    let (worker, ended) = site.ended("unwanted").await;
    // Its image may have been given up just before.
    assert!(["cancelled", "failed"].contains(&&*ended["state"]), "{ended:?}");
    site.is_gone(Some(&worker)).await;
    wait::until("no container was made for it", LIMIT, || async {
        let names = site.names("container").await;
        if names.contains(&worker) { Err(format!("{names:?}")) } else { Ok(()) }
    })
    .await;
}
