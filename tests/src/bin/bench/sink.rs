//! The bare limit of a server of the contract: tonic takes messages in and answers them, and does nothing else with
//! them. What it costs is what HTTP/2, the runtime and the kernel cost, before log-ingest has looked at a line.

use std::net::SocketAddr;
use std::pin::Pin;
use std::time::Duration;

use anyhow::Result;
use futures::{Stream, StreamExt};
use ottoscaler_proto::checksum::Checked;
use ottoscaler_proto::v1::log_response::Status as Answer;
use ottoscaler_proto::v1::log_streaming_service_server::{LogStreamingService, LogStreamingServiceServer};
use ottoscaler_proto::v1::{
    CompletionResponse, LogBatch, LogEntry, LogResponse, RegistrationResponse, UploadSummary,
    WorkerCompletion, WorkerRegistration,
};
use ottoscaler_tests::service::Service;
use tokio::net::TcpListener;
use tokio::process::Command;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::{Request, Response, Status, Streaming};

use crate::flood::Load;
use crate::ingest::{Cost, cost};

/// As log-ingest has them.
const STREAM_WINDOW: u32 = 1 << 20;
const CONNECTION_WINDOW: u32 = 4 << 20;
const MAX_FRAME: u32 = 256 << 10;

/// What messages cost it: as many as come in `time`.
pub(crate) async fn dropped(load: Load, time: Duration) -> Result<Cost> {
    let (service, address) = Sink::start().await?;
    let cost = cost(service.pid(), &format!("http://{address}"), "dropped", load, time).await?;
    service.kill().await;
    Ok(cost)
}

/// The server.
#[derive(Clone, Copy, Debug, clap::Args)]
pub(crate) struct Sink {}

impl Sink {
    /// A process of its own, and its address.
    pub(crate) async fn start() -> Result<(Service, SocketAddr)> {
        let mut command = Command::new(std::env::current_exe()?);
        command.arg("sink");
        let mut service = Service::start("sink", command);
        let fields = service.logged("listening").await;
        Ok((service, Service::address(&fields, "grpc")))
    }

    /// Serves until it is killed.
    #[allow(clippy::print_stderr, reason = "whoever started it reads the address there")]
    #[tokio::main]
    pub(crate) async fn run(self) -> Result<()> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let grpc = listener.local_addr()?.to_string();
        eprintln!("{}", serde_json::json!({"message": "listening", "grpc": grpc}));
        let connections = TcpListenerStream::new(listener).map(|stream| {
            let stream = stream?;
            stream.set_nodelay(true)?;
            std::io::Result::Ok(stream)
        });
        tonic::transport::Server::builder()
            .initial_stream_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW)
            .max_frame_size(MAX_FRAME)
            .add_service(LogStreamingServiceServer::new(self))
            .serve_with_incoming(connections)
            .await?;
        Ok(())
    }
}

/// What the last line of a batch is answered with.
fn taken(batch: &LogBatch) -> LogResponse {
    let lines = i64::try_from(batch.lengths.len()).expect("a message holds fewer");
    acked(batch.first_sequence + lines - 1)
}

fn acked(sequence: i64) -> LogResponse {
    LogResponse { status: Answer::Ack.into(), sequence, ..LogResponse::default() }.sealed()
}

#[tonic::async_trait]
impl LogStreamingService for Sink {
    type StreamLogsStream = Pin<Box<dyn Stream<Item = Result<LogResponse, Status>> + Send>>;
    type StreamLogBatchesStream = Self::StreamLogsStream;

    async fn register_worker(
        &self,
        _request: Request<WorkerRegistration>,
    ) -> Result<Response<RegistrationResponse>, Status> {
        Ok(Response::new(RegistrationResponse::default().sealed()))
    }

    async fn stream_logs(
        &self,
        request: Request<Streaming<LogEntry>>,
    ) -> Result<Response<Self::StreamLogsStream>, Status> {
        let answers = request.into_inner().map(|entry| Ok(acked(entry?.sequence)));
        Ok(Response::new(answers.boxed()))
    }

    async fn stream_log_batches(
        &self,
        request: Request<Streaming<LogBatch>>,
    ) -> Result<Response<Self::StreamLogBatchesStream>, Status> {
        let answers = request.into_inner().map(|batch| Ok(taken(&batch?)));
        Ok(Response::new(answers.boxed()))
    }

    async fn upload_logs(
        &self,
        _request: Request<Streaming<LogBatch>>,
    ) -> Result<Response<UploadSummary>, Status> {
        Err(Status::unimplemented("streams only"))
    }

    async fn complete_worker(
        &self,
        _request: Request<WorkerCompletion>,
    ) -> Result<Response<CompletionResponse>, Status> {
        Err(Status::unimplemented("streams only"))
    }
}
