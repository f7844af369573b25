//! The harness of the tests that run the whole system: real processes, a real redis-server, a real
//! Kubernetes, a proxy that cuts connections, and an oracle that knows what every line has to be.

pub mod agent;
pub mod api_proxy;
pub mod binary;
pub mod chatter;
pub mod cluster;
pub mod cutter;
pub mod daemon;
pub mod image;
pub mod ingest;
pub mod kube_api;
pub mod kube_scaler;
pub mod kube_tools;
pub mod kubelet_actor;
pub mod node;
pub mod oracle;
pub mod port;
pub mod redis_server;
pub mod rights;
pub mod scaler;
pub mod service;
pub mod small_disk;
pub mod wait;
pub mod wiretap;
