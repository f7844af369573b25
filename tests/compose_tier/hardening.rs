//! What the containers of a compose file may not do.

use nix::libc;
use ottoscaler_tests::binary;

use crate::stack::{Stack, succeed};

/// Read-only, without capabilities and without a way to new ones.
pub(crate) async fn no_service_has_a_privilege_that_it_does_not_need(stack: &mut Stack) {
    let format = "{{.HostConfig.ReadonlyRootfs}} {{.HostConfig.CapDrop}} {{.HostConfig.SecurityOpt}} {{.HostConfig.Privileged}}";
    for service in ["redis", "log-ingest", "scaler"] {
        let container = stack.container(service).await;
        let found = stack.inspect(&container, format).await;
        assert_eq!(found, "true [ALL] [no-new-privileges:true] false", "{service}");
        let pid: libc::pid_t = stack.inspect(&container, "{{.State.Pid}}").await.parse().unwrap();
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
        assert!(status.contains("\nCapEff:\t0000000000000000\n"), "{service}: {status}");
        let binds = stack.inspect(&container, "{{range .Mounts}}{{.Type}} {{end}}").await;
        assert_eq!(binds.contains("bind"), service == "scaler" && stack.has_socket(), "{service}: {binds}");
    }
}

/// So it reaches log-ingest, and neither Redis nor the scaler.
pub(crate) async fn workers_are_in_log_ingests_network_and_in_no_other(stack: &mut Stack) {
    let format = "{{range $name, $_ := .NetworkSettings.Networks}}{{$name}} {{end}}";
    let worker = stack.workers("own").await.remove(0);
    assert_eq!(stack.inspect(&worker, format).await, "ottoscaler_workers");
    for (service, networks) in [
        ("redis", "ottoscaler_system"),
        ("scaler", "ottoscaler_system"),
        ("log-ingest", "ottoscaler_system ottoscaler_workers"),
    ] {
        let container = stack.container(service).await;
        assert_eq!(stack.inspect(&container, format).await, networks, "{service}");
    }
}

/// One command that leaks, forks or prints without end does not take the machine, with Redis and all logs on it.
pub(crate) async fn workers_redis_and_logs_have_limits(stack: &mut Stack) {
    let worker = stack.workers("own").await.remove(0);
    let limits = stack.inspect(&worker, "{{.HostConfig.Memory}} {{.HostConfig.PidsLimit}}").await;
    assert_eq!(limits, format!("{} 4096", 2_u64 << 30), "those of docker/workers.yaml");
    let said = stack.succeed(&["exec", "--no-TTY", "redis", "redis-cli", "CONFIG", "GET", "maxmemory"]).await;
    assert!(said.contains(&(128 << 20).to_string()), "{said}");
    let ingest = stack.container("log-ingest").await;
    let variables = stack.inspect(&ingest, "{{.Config.Env}}").await;
    assert!(variables.contains("OTTO_RETAIN_BYTES=10GiB"), "{variables}");
}

/// What compose knows nothing of goes by the commands at the head of the file.
pub(crate) async fn nothing_is_left_after_down_and_the_two_commands_beside_it(stack: &mut Stack) {
    stack.succeed(&["down", "--volumes"]).await;
    let of_workers = "label=app.kubernetes.io/instance=ottoscaler";
    let head = std::fs::read_to_string(binary::workspace().join("docker/compose.yaml")).unwrap();
    let commands = [
        format!("docker rm --force $(docker ps --all --quiet --filter {of_workers})"),
        format!("docker volume rm $(docker volume ls --quiet --filter {of_workers})"),
    ];
    for command in &commands {
        assert!(head.contains(&format!("#   {command}\n")), "{command}");
        let mut shell = stack.engine.client("sh");
        shell.args(["-c", command]);
        succeed(shell).await;
    }
    for list in [&["ps", "--all", "--quiet"][..], &["volume", "ls", "--quiet"]] {
        assert_eq!(stack.engine.docker(list).await.unwrap(), "", "{list:?}");
    }
    let networks =
        stack.engine.docker(&["network", "ls", "--quiet", "--filter", "type=custom"]).await.unwrap();
    assert_eq!(networks, "");
}
