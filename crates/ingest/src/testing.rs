//! For tests of this crate: a store that does as it is told, and a server on a port of its own.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, mpsc};

use ottoscaler_kit::admin::Readiness;
use ottoscaler_kit::supervise::{OnFailure, Tasks};
use ottoscaler_proto::v1::log_query_service_client::LogQueryServiceClient;
use ottoscaler_proto::v1::log_streaming_service_client::LogStreamingServiceClient;
use prometheus_client::registry::Registry;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tonic::transport::Channel;

use crate::alarm::Alarm;
use crate::catalog::Catalog;
use crate::fence::Fence;
use crate::metrics::Metrics;
use crate::outlines::Outlines;
use crate::parse;
use crate::queue;
use crate::rate::Rates;
use crate::retention::{Limits, Trust};
use crate::searches::Searches;
use crate::server::Server;
use crate::store::{CommitError, LogStore, Opened, memory};
use crate::summaries::Summaries;
use crate::tail::Tails;
use crate::worker::Record;
use crate::writer::Writer;
use crate::writer::held::Held;
use crate::writer::home::Home;

/// What a commit is to do.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Verdict {
    Store,
    Full,
    Broken,
}

/// Says when a commit begins, and waits to be told how it ends.
struct Scripted {
    store: Box<dyn LogStore>,
    began: mpsc::Sender<()>,
    verdicts: mpsc::Receiver<Verdict>,
}

impl LogStore for Scripted {
    fn commit(&mut self, records: &[Record]) -> Result<(), CommitError> {
        // Once the test has let go of its script, everything is stored.
        let _watched = self.began.send(());
        let no_space = || std::io::Error::from(std::io::ErrorKind::StorageFull);
        match self.verdicts.recv().unwrap_or(Verdict::Store) {
            Verdict::Store => self.store.commit(records),
            Verdict::Full => Err(CommitError::Full(no_space())),
            Verdict::Broken => Err(CommitError::Broken(no_space())),
        }
    }

    fn size(&self) -> u64 {
        self.store.size()
    }
}

/// The test's side of a scripted store.
pub(crate) struct Script {
    began: mpsc::Receiver<()>,
    verdicts: mpsc::Sender<Verdict>,
}

impl Script {
    /// Waits until a commit has begun. Blocking: the writer has a thread of its own.
    pub(crate) fn commit_began(&self) {
        self.began.recv().unwrap();
    }

    /// Ends the commit that has begun, or the next one.
    pub(crate) fn answer(&self, verdict: Verdict) {
        self.verdicts.send(verdict).unwrap();
    }
}

/// A memory store whose commits wait for the script.
pub(crate) fn scripted() -> (Opened, Script) {
    let opened = memory::open();
    let (began, watched) = mpsc::channel();
    let (script, verdicts) = mpsc::channel();
    let store = Box::new(Scripted { store: opened.store, began, verdicts });
    (Opened { store, ..opened }, Script { began: watched, verdicts: script })
}

/// What a test may want to be small.
#[derive(Clone, Copy)]
pub(crate) struct Sizes {
    pub(crate) queue: usize,
    pub(crate) max_workers: usize,
    pub(crate) max_line: usize,
    pub(crate) max_readers: usize,
    pub(crate) rate: u32,
    pub(crate) task_rate: u32,
    pub(crate) retained: Limits,
}

impl Default for Sizes {
    fn default() -> Self {
        Self {
            queue: 64 << 20,
            max_workers: 100,
            max_line: 1 << 20,
            max_readers: 100,
            rate: 0,
            task_rate: 0,
            retained: Limits::default(),
        }
    }
}

/// The parts of a server, with its writer at work.
pub(crate) fn parts(opened: Opened, sizes: Sizes, tasks: &Tasks) -> Server {
    let metrics = Metrics::register(&mut Registry::default());
    let catalog = Arc::new(Catalog::default());
    let (queue, submissions) = queue::bounded(sizes.queue, metrics.clone());
    let writer = Writer {
        store: opened.store,
        catalog: Arc::clone(&catalog),
        max_workers: sizes.max_workers,
        space: None,
        home: Home::new(Readiness::default().condition("data directory"), metrics.store_gone.clone()),
        held: Held::new(sizes.max_workers),
        crowd: Alarm::new(metrics.workers_nearly_full.clone()),
        limits: sizes.retained,
        metrics: metrics.clone(),
        trust: Trust::default(),
        looked_ns: 0,
    };
    tasks.spawn("writer", OnFailure::StopService, crate::run_writer(writer, submissions));
    Server {
        queue,
        summaries: Summaries::new(Arc::clone(&catalog)),
        catalog,
        tails: Tails::new(opened.reader, sizes.max_readers, metrics.clone()),
        outlines: Outlines::new(metrics.clone()),
        searches: Searches::new(metrics.clone()),
        fence: Fence::new(metrics.clone()),
        limits: parse::Limits { max_line: sizes.max_line },
        rates: Rates::new(sizes.rate, sizes.task_rate, sizes.max_workers).stopped(),
        draining: CancellationToken::new(),
        metrics,
    }
}

/// A server that answers gRPC.
pub(crate) struct Running {
    pub(crate) server: Server,
    addr: SocketAddr,
    _tasks: Tasks,
}

impl Running {
    pub(crate) async fn start(opened: Opened, sizes: Sizes) -> Self {
        let tasks = Tasks::new();
        let server = parts(opened, sizes, &tasks);
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let addr = listener.local_addr().unwrap();
        tasks.spawn("grpc", OnFailure::StopService, crate::serve_grpc(listener, server.clone(), None));
        Self { server, addr, _tasks: tasks }
    }

    pub(crate) async fn in_memory() -> Self {
        Self::start(memory::open(), Sizes::default()).await
    }

    pub(crate) async fn channel(&self) -> Channel {
        Channel::from_shared(format!("http://{}", self.addr)).unwrap().connect().await.unwrap()
    }

    pub(crate) async fn streaming(&self) -> LogStreamingServiceClient<Channel> {
        LogStreamingServiceClient::connect(format!("http://{}", self.addr)).await.unwrap()
    }

    pub(crate) async fn query(&self) -> LogQueryServiceClient<Channel> {
        LogQueryServiceClient::connect(format!("http://{}", self.addr)).await.unwrap()
    }
}
