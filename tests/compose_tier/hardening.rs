//! What the containers of a compose file may not do.

use nix::libc;

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

/// Workers reach log-ingest, and neither Redis nor the scaler, whose addresses they are not even told.
pub(crate) async fn a_worker_reaches_log_ingest_and_nothing_else_of_the_system(stack: &mut Stack) {
    let command = "for at in log-ingest:8080/ redis:6379/ scaler:9091/livez; do \
                   wget -q -T 5 -O /dev/null http://$at 2>&1 && echo reached $at; done; true";
    let said = succeed(stack.submit(&["--", "sh", "-c", command])).await;
    assert!(said.contains("reached log-ingest:8080/\n"), "{said}");
    for hidden in ["redis:6379", "scaler:9091"] {
        assert!(said.contains(&format!("bad address '{hidden}'")), "{said}");
    }
}
