//! The logs of all of a task's workers as one: a page of it in the order of time, and its live tail.

use std::collections::HashMap;
use std::io;
use std::pin::pin;
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use bytes::Bytes;
use futures::stream::{self, BoxStream, Stream, StreamExt, TryStreamExt};
use serde::Deserialize;
use serde_json::{Value, json};

use super::cut::{Cut, MAX_WORKERS};
use super::error::ApiError;
use super::params::{Named, Params, number_in};
use super::{events, json};
use crate::ids::{TaskId, WorkerId};
use crate::line::Block;
use crate::server::Server;
use crate::summary::Summary;
use crate::tail::{Direction, Follow, Format, Interleaved, Pick, Piece, Tails, TaskPiece, TaskTail, stalled};
use crate::worker::WorkerState;

/// Lines that one answer gives where the client does not say.
const LINES: u64 = 512;

/// Lines that one answer gives at the most.
const MAX_LINES: u64 = 5000;

/// Bytes of lines after which an answer takes no further one: it is whole in memory.
const MAX_BYTES: usize = 1 << 20;

/// Which lines.
#[derive(Deserialize)]
pub(super) struct Wanted {
    #[serde(default)]
    direction: Way,
    cursor: Option<String>,
    limit: Option<String>,
}

#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Way {
    Forward,
    #[default]
    Backward,
}

impl From<Way> for Direction {
    fn from(way: Way) -> Self {
        match way {
            Way::Forward => Self::Forward,
            Way::Backward => Self::Backward,
        }
    }
}

/// The workers of a task, in the order of their names.
fn workers(server: &Server, task: &TaskId) -> Result<Vec<Arc<WorkerState>>, ApiError> {
    let found = server.catalog.task(task);
    let mut workers = found.ok_or_else(|| ApiError::not_found("task", task.as_str()))?;
    if workers.len() > MAX_WORKERS {
        return Err(ApiError::too_many_workers(MAX_WORKERS));
    }
    workers.sort_by(|a, b| a.names().cmp(&b.names()));
    Ok(workers)
}

pub(super) async fn page(
    State(server): State<Server>,
    Named(task): Named<TaskId>,
    Params(wanted): Params<Wanted>,
) -> Result<Json<Value>, ApiError> {
    let limit = number_in("limit", wanted.limit.as_ref(), LINES, 1..=MAX_LINES)?;
    let direction = Direction::from(wanted.direction);
    let workers = workers(&server, &task)?;
    let from = match (&wanted.cursor, direction) {
        (Some(text), _) => Cut::open("cursor", &task, &workers, text)?,
        (None, Direction::Forward) => Cut::default(),
        (None, Direction::Backward) => Cut::at_end(&workers),
    };
    let _place = server.tails.try_place().map_err(ApiError::busy)?;
    let logs = workers.iter().filter_map(|state| {
        let states = server.catalog.watch(&state.registration.worker)?;
        Some((states, from.of(state)))
    });
    let mut logs = Interleaved::new(server.tails.clone(), direction, logs);
    let lines = take(&server.tails, &mut logs, limit).await.map_err(|error| ApiError::store(&error))?;
    let mut to = from.clone();
    logs.places().for_each(|(state, last)| to.set(state, last));
    let (earlier, later) = if direction == Direction::Forward { (from, to) } else { (to, from) };
    Ok(Json(json!({
        "lines": lines,
        "previous": (!earlier.is_at_start()).then(|| earlier.seal(&task)),
        "next": later.seal(&task),
    })))
}

/// The next lines, the earliest first. What is picked is bounded before any of it is read.
async fn take(tails: &Tails, logs: &mut Interleaved, limit: u64) -> io::Result<Vec<Value>> {
    let (mut picks, mut bytes) = (Vec::<Pick>::new(), 0);
    while bytes < MAX_BYTES && (picks.len() as u64) < limit {
        let Some(pick) = logs.next().await? else { break };
        bytes += pick.bytes;
        picks.push(pick);
    }
    if logs.direction() == Direction::Backward {
        picks.reverse();
    }
    let mut lines = HashMap::new();
    for (log, states) in logs.logs().enumerate() {
        let of_log = || picks.iter().filter(|pick| pick.log == log);
        let (Some(first), Some(last)) = (of_log().next(), of_log().next_back()) else { continue };
        let worker = states.borrow().registration.worker.clone();
        let mut blocks = pin!(tails.range(states.clone(), first.first, last.last));
        while let Some(block) = blocks.try_next().await? {
            let sequences = (0..).map(|at| (log, block.first.plus(at)));
            lines.extend(sequences.zip(json::lines_of(&worker, &block)));
        }
    }
    // What retention took meanwhile is one gap in place of its first line.
    Ok(picks.iter().filter_map(|pick| lines.remove(&(pick.log, pick.first))).collect())
}

/// Where to go on.
#[derive(Deserialize)]
pub(super) struct Start {
    cursor: Option<String>,
}

pub(super) async fn tail(
    State(server): State<Server>,
    Named(task): Named<TaskId>,
    Params(start): Params<Start>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let workers = workers(&server, &task)?;
    let given = match headers.get("last-event-id") {
        Some(id) => Some(("Last-Event-ID", String::from_utf8_lossy(id.as_bytes()).into_owned())),
        None => start.cursor.map(|cursor| ("cursor", cursor)),
    };
    let cut = match given {
        Some((field, text)) => Cut::open(field, &task, &workers, &text)?,
        None => Cut::default(),
    };
    let place = server.tails.try_place().map_err(ApiError::busy)?;
    let (from, logs) = (cut.clone(), server.tails.logs(Follow::UntilClosed));
    let tail =
        TaskTail::new(Arc::clone(&server.catalog), task.clone(), logs, 0, move |state| from.of(state).next());
    let pieces = server.tails.at(place, tail.pieces().boxed()).boxed();
    let view = View { server, task, pieces, cut, joined: 0, is_over: false };
    Ok(events::response(Some(events::retry()), view.events()))
}

/// What one reader was told of a task.
struct View {
    server: Server,
    task: TaskId,
    pieces: BoxStream<'static, io::Result<TaskPiece>>,
    cut: Cut,
    joined: usize,
    is_over: bool,
}

impl View {
    fn events(self) -> impl Stream<Item = Bytes> + Send {
        let pieces = stream::unfold(self, |mut view| async move { Some((view.next().await?, view)) });
        pieces.flat_map(stream::iter)
    }

    /// What is said next; none at the end, and where the server stops or the reader stalled: then it comes again.
    async fn next(&mut self) -> Option<Vec<Bytes>> {
        if self.is_over {
            return None;
        }
        match self.server.draining.run_until_cancelled(self.pieces.next()).await? {
            Some(Ok(piece)) => Some(self.tell(piece)),
            Some(Err(error)) if stalled(&error) => None,
            Some(Err(error)) => Some(self.last(events::failed(&ApiError::store(&error)))),
            None => {
                let workers = self.server.catalog.task(&self.task).unwrap_or_default();
                let summary = json::summary(&Summary::new(self.task.clone(), &workers));
                Some(self.last(events::event("end", &summary)))
            }
        }
    }

    fn tell(&mut self, piece: TaskPiece) -> Vec<Bytes> {
        match piece {
            TaskPiece::Joined(_) if self.joined == MAX_WORKERS => {
                self.last(events::failed(&ApiError::too_many_workers(MAX_WORKERS)))
            }
            TaskPiece::Joined(state) => {
                self.joined += 1;
                vec![events::event("worker", &json::worker(&state))]
            }
            TaskPiece::Of(state, Piece::Part(part)) => {
                self.cut.set(&state, part.block().last());
                let worker = &state.registration.worker;
                let lines = part.encoded(Format::TaskBatch, |block| vec![batch(worker, block)])[0].clone();
                vec![format!("id: {}\n", self.cut.seal(&self.task)).into(), lines]
            }
            TaskPiece::Of(_, Piece::End(state)) => vec![events::event("worker", &json::worker(&state))],
        }
    }

    fn last(&mut self, event: Bytes) -> Vec<Bytes> {
        self.is_over = true;
        vec![event]
    }
}

/// What all who read the task share: the event without its id.
fn batch(worker: &WorkerId, block: &Block) -> Bytes {
    format!("data: {}\n\n", Value::from(json::lines_of(worker, block))).into()
}
