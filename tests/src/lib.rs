//! The harness of the tests that run the whole system: real processes, a real redis-server, a real
//! Kubernetes, a proxy that maltreats connections, and an oracle that knows what every line has to be.

pub mod agent;
pub mod api_proxy;
pub mod audit;
pub mod binary;
pub mod chart_tools;
pub mod chatter;
pub mod cluster;
pub mod daemon;
pub mod docker_engine;
pub mod docker_proxy;
pub mod document;
pub mod events;
pub mod fake_clock;
pub mod image;
pub mod ingest;
pub mod kube_api;
pub mod kube_scaler;
pub mod kube_tools;
pub mod kubelet_actor;
pub mod memory;
pub mod mischief;
pub mod node;
pub mod oracle;
pub mod port;
pub mod redis_server;
pub mod rights;
pub mod scaler;
pub mod schema;
pub mod service;
pub mod service_network;
pub mod small_disk;
pub mod tier;
pub mod wait;
pub mod wiretap;
pub mod worker_images;
