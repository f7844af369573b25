//! LogQueryService.

use std::collections::{HashSet, VecDeque};
use std::io;
use std::sync::Arc;

use bytes::Bytes;
use futures::FutureExt;
use futures::future::{BoxFuture, OptionFuture};
use futures::stream::{self, BoxStream, SelectAll, StreamExt};
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
use crate::tail::{Follow, Format, Piece, Place, stalled};
use crate::worker::WorkerState;

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

/// What to read of each log.
#[derive(Clone, Copy)]
struct Range {
    from: Sequence,
    follow: Follow,
}

impl Query {
    /// The log of one worker as messages.
    fn worker(&self, states: watch::Receiver<Arc<WorkerState>>, range: Range) -> Result<Responses, Status> {
        Ok(self.worker_at(self.place()?, states, range))
    }

    fn place(&self) -> Result<Place, Status> {
        self.0.tails.try_place().map_err(|refused| Status::resource_exhausted(refused.to_string()))
    }

    /// The same, at a place that is there.
    fn worker_at(&self, place: Place, states: watch::Receiver<Arc<WorkerState>>, range: Range) -> Responses {
        let registration = states.borrow().registration.clone();
        let tail = self.0.tails.tail_at(place, states, range.from, range.follow);
        let messages = move |piece| messages(piece, &registration.worker, &registration.task);
        tail.flat_map(move |piece| stream::iter(messages(piece))).boxed()
    }

    /// Waits until the worker comes, if it is to be followed.
    async fn states(
        &self,
        worker: &WorkerId,
        follow: Follow,
    ) -> Result<watch::Receiver<Arc<WorkerState>>, Status> {
        let mut arrivals = self.0.catalog.arrivals();
        loop {
            if let Some(states) = self.0.catalog.watch(worker) {
                return Ok(states);
            }
            if follow == Follow::No {
                return Err(Status::not_found(format!("worker {worker} is not known")));
            }
            tokio::select! {
                changed = arrivals.changed() => changed.map_err(|_| stopping())?,
                () = self.0.draining.cancelled() => return Err(stopping()),
            }
        }
    }

    /// The logs of a task's workers, each as soon as there is a place for it, those included that come while it is read.
    fn task(&self, task: TaskId, range: Range, expected: usize) -> Responses {
        let mut arrivals = self.0.catalog.arrivals();
        arrivals.mark_changed();
        let tails = TaskTail {
            query: self.clone(),
            ended: self.0.catalog.forgotten(&task),
            task,
            range,
            expected,
            tails: SelectAll::new(),
            seen: HashSet::new(),
            waiting: VecDeque::new(),
            place: None,
            is_refused: false,
            has_begun: false,
            arrivals,
        };
        stream::unfold(tails, |mut tails| async move { Some((tails.next().await?, tails)) }).boxed()
    }
}

/// All tails of one task.
struct TaskTail {
    query: Query,
    task: TaskId,
    range: Range,
    /// End only once so many workers have ended.
    expected: usize,
    tails: SelectAll<Responses>,
    seen: HashSet<WorkerId>,
    /// Whose logs are not read yet.
    waiting: VecDeque<watch::Receiver<Arc<WorkerState>>>,
    /// A place for the first of these, where it has to be waited for.
    place: Option<BoxFuture<'static, Place>>,
    /// A log was read. Before that, who finds no place is sent away, as any other reader is.
    has_begun: bool,
    is_refused: bool,
    ended: usize,
    arrivals: watch::Receiver<usize>,
}

impl TaskTail {
    async fn next(&mut self) -> Option<Result<Tailed, Status>> {
        loop {
            // They are looked through only where there may be a new one.
            if self.arrivals.has_changed().is_ok_and(|changed| changed) {
                self.arrivals.borrow_and_update();
                self.join_new();
            }
            if let Err(status) = self.open_waiting() {
                (self.is_refused, self.tails) = (true, SelectAll::new());
                return Some(Err(status));
            }
            if self.is_refused || (self.tails.is_empty() && self.waiting.is_empty() && self.is_over()) {
                return None;
            }
            // Cancel safe: `SelectAll` keeps what a tail has not given, the place is waited for by a future of its own,
            // and `changed` loses no change.
            tokio::select! {
                response = self.tails.next(), if !self.tails.is_empty() => {
                    // None: the last tail has ended, and the loop asks whether that was all.
                    let Some(response) = response else { continue };
                    self.ended += usize::from(response.as_ref().is_ok_and(Tailed::is_end));
                    return Some(response);
                }
                Some(place) = OptionFuture::from(self.place.as_mut()) => {
                    self.place = None;
                    self.open(place);
                }
                // It is seen with that: the loop would not look again.
                changed = self.arrivals.changed() => match changed {
                    Ok(()) => self.join_new(),
                    Err(_) => return None,
                },
            }
        }
    }

    fn join_new(&mut self) {
        for state in self.query.0.catalog.task(&self.task).unwrap_or_default() {
            let worker = &state.registration.worker;
            if !self.seen.insert(worker.clone()) {
                continue;
            }
            self.waiting.extend(self.query.0.catalog.watch(worker));
        }
    }

    /// Opens the logs that wait, for as long as there are places. Who does not follow reads one after the other.
    fn open_waiting(&mut self) -> Result<(), Status> {
        while !self.waiting.is_empty() && self.place.is_none() {
            if self.range.follow == Follow::No && !self.tails.is_empty() {
                break;
            }
            match self.query.place() {
                Ok(place) => self.open(place),
                Err(status) if !self.has_begun => return Err(status),
                Err(_) => self.place = Some(self.query.0.tails.clone().place().boxed()),
            }
        }
        Ok(())
    }

    /// Opens the first of the logs that wait.
    fn open(&mut self, place: Place) {
        let Some(states) = self.waiting.pop_front() else { return };
        self.has_begun = true;
        self.tails.push(self.query.worker_at(place, states, self.range));
    }

    fn is_over(&self) -> bool {
        let waits_for_first = self.seen.is_empty() || self.ended < self.expected;
        self.range.follow == Follow::No || !waits_for_first
    }
}

fn stopping() -> Status {
    Status::unavailable("the server is stopping")
}

fn messages(piece: io::Result<Piece>, worker: &WorkerId, task: &TaskId) -> Vec<Result<Tailed, Status>> {
    match piece {
        Ok(Piece::Part(part)) => {
            let messages = part.encoded(Format::Messages, |block| encoded(worker, task, block));
            messages.iter().cloned().map(|message| Ok(Tailed::Encoded(message))).collect()
        }
        Ok(Piece::End(state)) => {
            let end = TailResponse { end: Some(wire::end(&state)), ..TailResponse::default() };
            vec![Ok(Tailed::Own(end))]
        }
        Err(error) if stalled(&error) => vec![Err(Status::resource_exhausted(error.to_string()))],
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
        let range = Range { from, follow };
        let responses = match request.of {
            Some(Of::WorkerId(worker)) => {
                let worker = WorkerId::try_from(&*worker)
                    .map_err(|why| Status::invalid_argument(format!("worker_id: {why}")))?;
                self.worker(self.states(&worker, follow).await?, range)?
            }
            Some(Of::TaskId(task)) => {
                let task = TaskId::try_from(&*task)
                    .map_err(|why| Status::invalid_argument(format!("task_id: {why}")))?;
                if follow == Follow::No && self.0.catalog.task(&task).is_none() {
                    return Err(Status::not_found(format!("task {task} is not known")));
                }
                self.task(task, range, usize::try_from(request.expected_workers).unwrap_or(0))
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
