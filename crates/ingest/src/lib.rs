//! log-ingest: takes lines in, keeps them, and shows them live.
//!
//! The way of a line: [`service`] → [`parse`] → [`queue`] → [`writer`], where [`session::decide`] says
//! what becomes of it → [`store`] → [`catalog`] → [`tail`] → those who read.

pub mod alarm;
mod ansi;
pub mod catalog;
pub mod config;
mod connections;
pub mod fence;
pub mod http;
pub mod ids;
pub mod line;
pub mod metrics;
mod outline;
pub mod outlines;
pub mod parse;
pub mod queue;
pub mod rate;
pub mod reason;
pub mod retention;
mod scan;
mod search;
pub mod searches;
pub mod server;
pub mod service;
pub mod session;
pub mod space;
pub mod store;
pub mod summaries;
pub mod summary;
pub mod tail;
#[cfg(test)]
mod testing;
pub mod worker;
pub mod writer;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use ottoscaler_kit::admin::{self, Condition, Readiness};
use ottoscaler_kit::net::{listen, raise_file_limit};
use ottoscaler_kit::supervise::{OnFailure, Tasks};
use prometheus_client::registry::Registry;
use tokio::net::TcpListener;
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;
use tonic::codec::CompressionEncoding;
use tonic_health::ServingStatus;
use tracing::{info, warn};

use alarm::Alarm;
use catalog::Catalog;
use config::{Config, StoreKind};
use fence::Fence;
use metrics::Metrics;
use outlines::Outlines;
use parse::Limits;
use queue::Queued;
use rate::Rates;
use retention::Trust;
use searches::Searches;
use server::Server;
use service::direct::Direct;
use service::generated::log_query_service_server::{self, LogQueryServiceServer};
use service::generated::log_streaming_service_server::{self, LogStreamingServiceServer};
use service::inflow::Inflow;
use store::{Damage, Opened};
use summaries::Summaries;
use tail::Tails;
use writer::Writer;
use writer::held::Held;
use writer::home::Home;

/// A gRPC message is at most so large: a few batches of the agent, or a line of the largest limit that
/// makes sense.
const MAX_MESSAGE: usize = 8 << 20;

/// A question about logs names a worker or a task. Of one that is not whole a stream holds so much in memory.
const MAX_QUESTION: usize = 4 << 10;

/// HTTP/2 windows: with 64 KiB, the default, one stream is limited to 64 KiB a round trip.
const STREAM_WINDOW: u32 = 1 << 20;
const CONNECTION_WINDOW: u32 = 4 << 20;

/// A frame of HTTP/2: a block of the agent's is one, and is taken over as it was read. With 16 KiB, the default, it is
/// put together out of pieces.
const MAX_FRAME: u32 = 256 << 10;

/// Streams of one connection: a proxy may carry many clients over one.
const MAX_STREAMS: u32 = 1024;

/// A connection that is silent for the first time is asked, and given up after the second.
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(20);
const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(10);

/// From telling a client that its connection is too old to ending it. Streams have no end of their own, so
/// that all of it passes; what is in flight by then is sent again.
const CONNECTION_GRACE: Duration = Duration::from_secs(10);

/// Whoever asks for health may ask for the server, or for one of its services by its full name.
const SERVICES: [&str; 3] =
    ["", log_streaming_service_server::SERVICE_NAME, log_query_service_server::SERVICE_NAME];

/// Serves until a signal, then drains.
pub async fn run(config: Config) -> Result<()> {
    let tasks = Tasks::new();
    tasks.stop_on_signals()?;
    raise_file_limit();
    let mut registry = Registry::default();
    let metrics = Metrics::register(&mut registry);
    let readiness = Readiness::default();
    let ready = readiness.condition("store");
    let home = readiness.condition("data directory");

    let grpc = listen(config.grpc_addr, "gRPC", "--grpc-addr (OTTO_GRPC_ADDR)").await?;
    let http = listen(config.http_addr, "HTTP", "--http-addr (OTTO_HTTP_ADDR)").await?;
    let admin = listen(config.admin_addr, "admin HTTP", "--admin-addr (OTTO_ADMIN_ADDR)").await?;
    let addresses = Addresses::of(&grpc, &http, &admin)?;
    let admin_stop = CancellationToken::new();
    tasks.spawn(
        "admin",
        OnFailure::StopService,
        admin::serve(admin, readiness, registry, axum::Router::new(), admin_stop.clone()),
    );

    let (server, writer, submissions) = assemble(&config, tasks.stop_token().clone(), home, metrics).await?;
    let stop = tasks.stop_token().clone();
    tasks.spawn("retention", OnFailure::StopService, retention::run(server.queue.clone(), stop));
    tasks.spawn("writer", OnFailure::StopService, run_writer(writer, submissions));
    tasks.spawn("grpc", OnFailure::StopService, serve_grpc(grpc, server.clone(), config.max_connection_age));
    tasks.spawn("http", OnFailure::StopService, serve_http(http, server));
    ready.met();
    info!(grpc = %addresses.grpc, http = %addresses.http, admin = %addresses.admin, "log-ingest listening");

    let stop = tasks.stop_token().clone();
    stop.cancelled().await;
    ready.missing("stopping");
    // The others end first; whoever asks for readiness meanwhile is told.
    admin_stop.cancel();
    tasks.finish(config.shutdown_timeout).await
}

/// Opens the store, and makes what serves it: what requests need, and the writer with its queue.
async fn assemble(
    config: &Config,
    draining: CancellationToken,
    home: Condition,
    metrics: Metrics,
) -> Result<(Server, Writer, mpsc::Receiver<Queued>)> {
    let catalog = Arc::new(Catalog::default());
    let opened = open_store(config, Arc::clone(&catalog), &metrics).await?;
    let (queue, submissions) = queue::bounded(config.queue_limit.as_usize(), metrics.clone());
    let server = Server {
        queue,
        catalog: Arc::clone(&catalog),
        summaries: Summaries::new(Arc::clone(&catalog)),
        tails: Tails::new(Arc::clone(&opened.reader), config.max_readers, metrics.clone()),
        outlines: Outlines::new(metrics.clone()),
        searches: Searches::new(metrics.clone()),
        fence: Fence::new(metrics.clone()),
        limits: Limits { max_line: config.max_line.as_usize() },
        rates: Rates::new(config.rate_limit, config.task_rate_limit, config.max_workers),
        draining,
        metrics: metrics.clone(),
    };
    let writer = Writer {
        store: opened.store,
        catalog,
        max_workers: config.max_workers,
        space: config.space(&metrics),
        home: Home::new(home, metrics.store_gone.clone()),
        held: Held::new(config.max_workers),
        crowd: Alarm::new(metrics.workers_nearly_full.clone()),
        limits: config.retention(),
        metrics,
        trust: Trust::default(),
        looked_ns: 0,
    };
    Ok((server, writer, submissions))
}

struct Addresses {
    grpc: SocketAddr,
    http: SocketAddr,
    admin: SocketAddr,
}

impl Addresses {
    /// Those that are really listened on: a port of 0 has become one by now.
    fn of(grpc: &TcpListener, http: &TcpListener, admin: &TcpListener) -> Result<Self> {
        let local = |listener: &TcpListener| listener.local_addr().context("a listener has no address");
        Ok(Self { grpc: local(grpc)?, http: local(http)?, admin: local(admin)? })
    }
}

/// Opens the store and fills the catalog from it.
async fn open_store(config: &Config, catalog: Arc<Catalog>, metrics: &Metrics) -> Result<Opened> {
    let (kind, data_dir) = (config.store, config.data_dir.clone());
    let segment_bytes = config.segment_bytes();
    let damage = Damage::new(metrics.read_damage.clone());
    if kind == StoreKind::Memory && config.retain_for.is_some() {
        warn!(
            "--store memory keeps the newest lines by what they take, however old they are: --retain-for does nothing"
        );
    }
    let open = move || match kind {
        StoreKind::Memory => anyhow::Ok(store::memory::open()),
        StoreKind::Disk => store::disk::open(&data_dir, segment_bytes, damage),
    };
    let started = Instant::now();
    let mut opened = tokio::task::spawn_blocking(open).await.context("opening the store panicked")??;
    for state in std::mem::take(&mut opened.states) {
        catalog.publish(state);
    }
    let recovery = opened.recovery;
    metrics.recovered_torn_bytes.set(i64::try_from(recovery.torn_bytes).unwrap_or(i64::MAX));
    metrics.recovered_damage.set(i64::try_from(recovery.damaged).unwrap_or(i64::MAX));
    let (records, torn_bytes, damaged) = (recovery.records, recovery.torn_bytes, recovery.damaged);
    let (bytes, took) = (opened.store.size(), started.elapsed());
    info!(records, torn_bytes, damaged, bytes, ?took, "store opened");
    Ok(opened)
}

/// The writer blocks on the disk, so it has a thread of its own; this is its owner.
async fn run_writer(writer: Writer, submissions: mpsc::Receiver<Queued>) -> Result<()> {
    let (done, ended) = oneshot::channel();
    let body = move || {
        let result = writer.run(submissions);
        // Nobody listens only when the service has given up on it.
        let _sent = done.send(result);
    };
    let thread = std::thread::Builder::new().name("writer".into()).spawn(body);
    thread.context("cannot start the writer's thread")?;
    ended.await.context("the writer panicked")?
}

async fn serve_grpc(listener: TcpListener, server: Server, max_age: Option<Duration>) -> Result<()> {
    let (health, health_service) = tonic_health::server::health_reporter();
    let health_service = health_service.max_decoding_message_size(MAX_QUESTION);
    for service in SERVICES {
        health.set_service_status(service, ServingStatus::Serving).await;
    }
    let draining = server.draining.clone();
    // The limit is that of the message, whatever it was compressed to.
    let streaming = LogStreamingServiceServer::new(service::Streaming(server.clone()))
        .max_decoding_message_size(MAX_MESSAGE)
        .accept_compressed(CompressionEncoding::Zstd)
        .accept_compressed(CompressionEncoding::Gzip);
    let metrics = server.metrics.clone();
    let inflow = Inflow::new(MAX_MESSAGE, metrics.clone());
    let streaming = Direct::new(streaming, server.clone(), MAX_MESSAGE, inflow.clone());
    let query = LogQueryServiceServer::new(service::Query(server))
        .max_decoding_message_size(MAX_QUESTION)
        .send_compressed(CompressionEncoding::Zstd)
        .send_compressed(CompressionEncoding::Gzip);
    let reflection = || {
        tonic_reflection::server::Builder::configure()
            .register_encoded_file_descriptor_set(ottoscaler_proto::FILE_DESCRIPTOR_SET)
            .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
    };
    let connections = connections::accepted(listener, connections::MAX_CONNECTIONS, metrics);
    let serving = http2(max_age)
        .add_service(health_service)
        .add_service(reflection().build_v1().context("reflection")?.max_decoding_message_size(MAX_QUESTION))
        .add_service(
            reflection().build_v1alpha().context("reflection")?.max_decoding_message_size(MAX_QUESTION),
        )
        .add_service(streaming)
        .add_service(query)
        .serve_with_incoming_shutdown(connections, async move {
            draining.cancelled().await;
            for service in SERVICES {
                health.set_service_status(service, ServingStatus::NotServing).await;
            }
        });
    tokio::select! {
        ended = serving => ended.context("gRPC failed"),
        never = inflow.watch() => match never {},
    }
}

/// How connections are kept, and how much of one is under way.
fn http2(max_age: Option<Duration>) -> tonic::transport::Server {
    let mut server = tonic::transport::Server::builder();
    if let Some(age) = max_age {
        server = server.max_connection_age(age).max_connection_age_grace(CONNECTION_GRACE);
    }
    server
        .http2_keepalive_interval(Some(KEEPALIVE_INTERVAL))
        .http2_keepalive_timeout(Some(KEEPALIVE_TIMEOUT))
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_frame_size(MAX_FRAME)
        .max_concurrent_streams(MAX_STREAMS)
}

async fn serve_http(listener: TcpListener, server: Server) -> Result<()> {
    let draining = server.draining.clone();
    ottoscaler_kit::http::serve(listener, http::router(server), draining, http::tune).await;
    Ok(())
}
