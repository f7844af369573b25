//! The harness itself.

use std::time::Duration;

use k8s_openapi::api::core::v1::Pod;
use kube::Api;
use kube::api::{LogParams, PostParams};
use ottoscaler_tests::cluster::Cluster;
use ottoscaler_tests::image::{ImageConfig, Source};
use ottoscaler_tests::kube_api::ADMIN;
use ottoscaler_tests::{kube_tools, wait};
use serde_json::json;

use crate::images;

const LIMIT: Duration = Duration::from_mins(1);

/// Whether this machine can run a cluster. On CI it has to.
pub(crate) fn possible() -> bool {
    let compilers = images::COMPILERS.into_iter().filter_map(|compiler| kube_tools::on_path(compiler).err());
    ottoscaler_tests::tier::runs(Cluster::possible().err().into_iter().chain(compilers))
}

#[tokio::test]
async fn a_pod_runs_under_the_restricted_standard() {
    if !possible() {
        return;
    }
    let cluster = Cluster::start().await;
    let busybox = kube_tools::on_path("busybox").unwrap();
    let config = ImageConfig { env: &["WORD=hello"], ..ImageConfig::default() };
    cluster.image("busybox:test", &[("/bin/busybox", Source::Path(&busybox))], &config).await;

    let namespace = cluster.namespace(true).await;
    let pods: Api<Pod> = Api::namespaced(cluster.client(ADMIN), &namespace);
    let mut pod = json!({
        "metadata": {"name": "greeter"},
        "spec": {
            "restartPolicy": "Never",
            "containers": [{
                "name": "worker",
                "image": "busybox:test",
                "command": ["/bin/busybox", "sh", "-c", "echo $WORD"],
            }],
        },
    });
    let refused = pods.create(&PostParams::default(), &serde_json::from_value(pod.clone()).unwrap()).await;
    assert!(refused.unwrap_err().to_string().contains("restricted"));

    pod["spec"]["containers"][0]["securityContext"] = json!({
        "runAsNonRoot": true,
        "runAsUser": 65532,
        "allowPrivilegeEscalation": false,
        "readOnlyRootFilesystem": true,
        "capabilities": {"drop": ["ALL"]},
        "seccompProfile": {"type": "RuntimeDefault"},
    });
    pods.create(&PostParams::default(), &serde_json::from_value(pod).unwrap()).await.unwrap();
    wait::until("the Pod succeeds", LIMIT, || async {
        let status = pods.get("greeter").await.unwrap().status.unwrap();
        if status.phase.as_deref() == Some("Succeeded") { Ok(()) } else { Err(format!("{status:#?}")) }
    })
    .await;
    assert_eq!(pods.logs("greeter", &LogParams::default()).await.unwrap(), "hello\n");
    cluster.stop().await;
}
