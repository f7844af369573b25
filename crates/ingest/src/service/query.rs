//! LogQueryService.

use std::io;
use std::sync::Arc;

use bytes::Bytes;
use futures::future::FutureExt;
use futures::stream::{self, BoxStream, Stream, StreamExt, TryStreamExt};
use ottoscaler_proto::v1::tail_request::Of;
use ottoscaler_proto::v1::{
    GetTaskRequest, ListTasksRequest, ListTasksResponse, LogEntry, TailRequest, TailResponse, Task,
};
use prost::Message;
use tokio::sync::watch;
use tonic::{Request, Response, Status};

use super::generated::log_query_service_server::LogQueryService;
use super::tailed::Tailed;
use super::wire;
use crate::ids::{TaskId, WorkerId};
use crate::line::{Block, Sequence};
use crate::parse::entry;
use crate::server::Server;
use crate::summary::Summary;
use crate::tail::{Follow, Format, LogPiece, Logs, Piece, Place, Stalled, TaskPiece, TaskTail};
use crate::worker::{Registration, WorkerState};

/// Bytes after which a message takes no further line. Clients refuse more than 4 MiB by default.
const MESSAGE_BYTES: usize = 1 << 20;

/// A page of tasks, where the client does not say.
const PAGE: usize = 100;

/// The largest page of tasks.
const MAX_PAGE: usize = 1000;

/// Lines out.
#[derive(Clone)]
pub struct Query(pub Server);

type Responses = BoxStream<'static, Result<Tailed, Status>>;

impl From<Stalled> for Status {
    fn from(stalled: Stalled) -> Self {
        Self::resource_exhausted(stalled.to_string())
    }
}

impl Query {
    fn place(&self) -> Result<Place, Status> {
        self.0.tails.try_place().map_err(|refused| Status::resource_exhausted(refused.to_string()))
    }

    /// Pieces of logs as messages, for the reader at this place.
    fn responses(
        &self,
        place: Place,
        pieces: impl Stream<Item = io::Result<LogPiece>> + Send + 'static,
    ) -> Responses {
        let messages = pieces.flat_map(|piece| stream::iter(messages(piece))).boxed();
        self.0.tails.at(place, messages).boxed()
    }

    /// The log of a worker, which may be one that is still to come: then the response begins before it does. A call
    /// that has not begun within the client's time would be ended by tonic, with another word than the client's own.
    fn worker(
        &self,
        worker: WorkerId,
        known: Option<watch::Receiver<Arc<WorkerState>>>,
        mut logs: Logs,
        from: Sequence,
    ) -> impl Stream<Item = io::Result<LogPiece>> + Send + use<> {
        let catalog = Arc::clone(&self.0.catalog);
        let pieces = async move {
            let mut arrivals = catalog.arrivals();
            let mut found = known;
            while found.is_none() {
                found = catalog.watch(&worker);
                if found.is_none() && arrivals.changed().await.is_err() {
                    break;
                }
            }
            if let Some(states) = found {
                logs.add(states, from);
            }
            logs.pieces()
        };
        pieces.flatten_stream()
    }

    /// The logs of a task's workers, those included that come while they are read.
    fn task(
        &self,
        task: TaskId,
        logs: Logs,
        from: Sequence,
        expected: usize,
    ) -> impl Stream<Item = io::Result<LogPiece>> + Send + use<> {
        let tail = TaskTail::new(Arc::clone(&self.0.catalog), task, logs, expected, move |_| from);
        tail.pieces().try_filter_map(|piece| {
            std::future::ready(Ok(match piece {
                TaskPiece::Joined(_) => None,
                TaskPiece::Of(state, piece) => Some((state, piece)),
            }))
        })
    }
}

fn stopping() -> Status {
    Status::unavailable("the server is stopping")
}

fn messages(piece: io::Result<LogPiece>) -> Vec<Result<Tailed, Status>> {
    match piece {
        Ok((state, Piece::Part(part))) => {
            let Registration { worker, task, .. } = &state.registration;
            let messages = part.encoded(Format::Messages, |block| encoded(worker, task, block));
            messages.iter().cloned().map(|message| Ok(Tailed::Encoded(message))).collect()
        }
        Ok((state, Piece::End(_))) => {
            let end = TailResponse { end: Some(wire::end(&state)), ..TailResponse::default() };
            vec![Ok(Tailed::Own(end))]
        }
        Err(error) => vec![Err(Status::data_loss(error.to_string()))],
    }
}

/// A block as `TailResponse`s, encoded.
fn encoded(worker: &WorkerId, task: &TaskId, block: &Block) -> Vec<Bytes> {
    let entries = wire::entries(worker, task, block).into_iter();
    let message = |entries| TailResponse { entries, ..TailResponse::default() }.encode_to_vec().into();
    in_messages(entries).into_iter().map(message).collect()
}

/// Entries in pieces that a client takes.
fn in_messages(entries: impl Iterator<Item = LogEntry>) -> Vec<Vec<LogEntry>> {
    let mut messages = Vec::new();
    let (mut message, mut bytes) = (Vec::new(), 0);
    for entry in entries {
        let weight = entry::weight(&entry);
        if !message.is_empty() && bytes + weight > MESSAGE_BYTES {
            messages.push(std::mem::take(&mut message));
            bytes = 0;
        }
        bytes += weight;
        message.push(entry);
    }
    if !message.is_empty() {
        messages.push(message);
    }
    messages
}

#[tonic::async_trait]
impl LogQueryService for Query {
    type TailLogsStream = Responses;

    async fn tail_logs(&self, request: Request<TailRequest>) -> Result<Response<Responses>, Status> {
        let request = request.into_inner();
        let from = Sequence::from_wire(request.from_sequence)
            .ok_or_else(|| Status::invalid_argument("from_sequence: must not be negative"))?;
        let follow = if request.follow { Follow::UntilClosed } else { Follow::No };
        let logs = self.0.tails.logs(follow);
        let responses = match request.of {
            Some(Of::WorkerId(worker)) => {
                let worker = WorkerId::try_from(&*worker)
                    .map_err(|why| Status::invalid_argument(format!("worker_id: {why}")))?;
                let known = self.0.catalog.watch(&worker);
                if follow == Follow::No && known.is_none() {
                    return Err(Status::not_found(format!("worker {worker} is not known")));
                }
                self.responses(self.place()?, self.worker(worker, known, logs, from))
            }
            Some(Of::TaskId(task)) => {
                let task = TaskId::try_from(&*task)
                    .map_err(|why| Status::invalid_argument(format!("task_id: {why}")))?;
                if follow == Follow::No && self.0.catalog.task(&task).is_none() {
                    return Err(Status::not_found(format!("task {task} is not known")));
                }
                let expected = usize::try_from(request.expected_workers).unwrap_or(0);
                self.responses(self.place()?, self.task(task, logs, from, expected))
            }
            None => return Err(Status::invalid_argument("of: worker_id or task_id is required")),
        };
        let draining = self.0.draining.clone();
        let stopped = stream::iter(std::iter::once_with({
            let draining = draining.clone();
            move || draining.is_cancelled().then(|| Err(stopping()))
        }));
        let responses = responses.take_until(draining.cancelled_owned());
        Ok(Response::new(responses.chain(stopped.filter_map(std::future::ready)).boxed()))
    }

    async fn list_tasks(
        &self,
        request: Request<ListTasksRequest>,
    ) -> Result<Response<ListTasksResponse>, Status> {
        let request = request.into_inner();
        let size = match usize::try_from(request.page_size) {
            Ok(0) => PAGE,
            Ok(size) => size.min(MAX_PAGE),
            Err(_) => return Err(Status::invalid_argument("page_size: must not be negative")),
        };
        let start = match &*request.page_token {
            "" => 0,
            token => token
                .parse()
                .map_err(|_| Status::invalid_argument("page_token: is not one that this server gave"))?,
        };
        let all = Summary::all(&self.0.catalog);
        let end = all.len().min(size.saturating_add(start));
        let next_page_token = if end < all.len() { end.to_string() } else { String::new() };
        let tasks = all.get(start..end).unwrap_or_default().iter().map(wire::task).collect();
        Ok(Response::new(ListTasksResponse { tasks, next_page_token }))
    }

    async fn get_task(&self, request: Request<GetTaskRequest>) -> Result<Response<Task>, Status> {
        let task = TaskId::try_from(&*request.into_inner().task_id)
            .map_err(|why| Status::invalid_argument(format!("task_id: {why}")))?;
        let workers = self
            .0
            .catalog
            .task(&task)
            .ok_or_else(|| Status::not_found(format!("task {task} is not known")))?;
        let summary = wire::task(&Summary::new(task, &workers));
        let workers = workers.iter().map(|state| wire::worker(state)).collect();
        Ok(Response::new(Task { summary: Some(summary), workers }))
    }
}
