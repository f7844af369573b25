//! The agent asks for log-ingest by its name, as it does in every real cluster, where nothing of a libc
//! is there to help it.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

use kube::api::{DeleteParams, PostParams};
use serde_json::json;
use tokio::net::UdpSocket;
use tokio::task::JoinSet;

use crate::images::AGENT;
use crate::world::Site;

const NAME: &str = "log-ingest.ci.svc.cluster.local";

/// A header, and behind it the question.
const HEADER_BYTES: usize = 12;
/// The question's type: an IPv4 address.
const A: [u8; 2] = [0, 1];

/// A name server that knows one address, whatever it is asked for.
async fn name_server(socket: UdpSocket, address: Ipv4Addr) {
    let mut buffer = [0; 512];
    loop {
        let (length, asker) = socket.recv_from(&mut buffer).await.unwrap();
        let question = &buffer[HEADER_BYTES..length];
        let name = question.iter().position(|byte| *byte == 0).unwrap();
        let question = &question[..name + 5];
        let is_known = question[name + 1..name + 3] == A;
        // Its number; an answer, by one that asks others as well; one question, and one answer or none.
        let mut answer = buffer[..2].to_vec();
        answer.extend([0x81, 0x80, 0, 1, 0, u8::from(is_known), 0, 0, 0, 0]);
        answer.extend(question);
        if is_known {
            // The name of the question; an IPv4 address; good for a minute; four bytes.
            answer.extend([0xC0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4]);
            answer.extend(address.octets());
        }
        let _it_may_have_gone = socket.send_to(&answer, asker).await;
    }
}

pub(crate) async fn the_agent_finds_log_ingest_by_name_where_there_is_no_libc(site: Arc<Site>) {
    let IpAddr::V4(address) = site.grounds.cluster.node_ip() else { panic!("it is one of IPv4") };
    let mut server = JoinSet::new();
    let socket = UdpSocket::bind(SocketAddr::new(address.into(), 53)).await.unwrap();
    server.spawn(name_server(socket, address));
    let url = format!("http://{NAME}:{}", site.grounds.ingest.grpc().port());
    let pod = json!({
        "metadata": { "name": "by-name" },
        "spec": {
            "restartPolicy": "Never",
            "dnsPolicy": "None",
            "dnsConfig": { "nameservers": [address] },
            "containers": [{
                "name": "worker",
                "image": AGENT,
                "command": [
                    "/otto-agent", "run", "--worker-id=by-name", "--task-id=by-name", "--ingest-url", url,
                    "--", "/otto-agent", "--version",
                ],
                "securityContext": {
                    "runAsNonRoot": true,
                    "runAsUser": 65532,
                    "allowPrivilegeEscalation": false,
                    "capabilities": { "drop": ["ALL"] },
                    "seccompProfile": { "type": "RuntimeDefault" },
                },
            }],
        },
    });
    let pod = serde_json::from_value(pod).unwrap();
    site.pods().create(&PostParams::default(), &pod).await.unwrap();
    let shown = site.grounds.ingest.completed("by-name", "by-name").await;
    assert_eq!(shown["exit_code"], 0, "{shown}");
    let lines = site.grounds.lines("by-name").await;
    assert!(lines[0]["message"].as_str().unwrap().starts_with("otto-agent"), "{lines:?}");
    site.pods().delete("by-name", &DeleteParams::default()).await.unwrap();
    site.is_gone("by-name").await;
}
