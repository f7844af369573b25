//! Tasks and their states: what a page looks at again and again.

use std::cmp::Reverse;

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use serde::Deserialize;
use serde_json::json;

use super::error::ApiError;
use super::params::{Named, Params, number_in};
use super::{cursor, etag, json};
use crate::ids::TaskId;
use crate::server::Server;
use crate::summaries::Listed;
use crate::summary::{Standing, Summary};

/// Tasks that one answer lists at the most, and where the client does not say.
const MAX_TASKS: u64 = 1000;

/// Bytes of a text to search for: a name is no longer.
const MAX_TEXT: usize = 256;

/// Which tasks.
#[derive(Deserialize)]
pub(super) struct Wanted {
    state: Option<Filter>,
    q: Option<String>,
    #[serde(default)]
    order: Order,
    limit: Option<String>,
    cursor: Option<String>,
}

/// Tasks of which something can be said. One that runs and of which a worker has failed is both.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Filter {
    Running,
    Failed,
    Done,
}

impl Filter {
    fn takes(self, summary: &Summary) -> bool {
        match self {
            Self::Running => summary.open > 0,
            Self::Failed => summary.failed > 0,
            Self::Done => summary.standing() == Standing::Done,
        }
    }
}

/// What comes first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Order {
    /// The latest activity.
    #[default]
    Latest,
    /// Failures, then what runs, then the rest; each the latest first.
    Failed,
}

/// The place of a task in an order.
type Place<'a> = (u8, Reverse<i64>, &'a str);

impl Order {
    /// What cursors of this order are of.
    const fn scope(self) -> &'static str {
        match self {
            Self::Latest => "tasks by latest",
            Self::Failed => "tasks by failed",
        }
    }

    fn place(self, summary: &Summary) -> Place<'_> {
        let standing = match self {
            Self::Latest => 0,
            Self::Failed => summary.standing() as u8,
        };
        (standing, Reverse(summary.updated_ns), summary.task.as_str())
    }

    fn seal(self, (standing, Reverse(updated), task): Place<'_>) -> String {
        let place = [&[standing], &updated.to_be_bytes()[..], task.as_bytes()].concat();
        cursor::seal(self.scope(), &place)
    }

    fn open(self, text: &str) -> Result<(u8, Reverse<i64>, String), ApiError> {
        let place = cursor::open("cursor", self.scope(), text)?;
        let opened = || {
            let (standing, rest) = place.split_first()?;
            let (updated, task) = rest.split_first_chunk()?;
            let task = String::from_utf8(task.to_vec()).ok()?;
            Some((*standing, Reverse(i64::from_be_bytes(*updated)), task))
        };
        opened().ok_or_else(|| cursor::invalid("cursor"))
    }
}

/// Of all, which are in the order of the latest, those that are wanted, the first of them first.
fn wanted<'a>(all: &'a [Listed], wanted: &Wanted) -> Result<Vec<&'a Summary>, ApiError> {
    let text = wanted.q.as_deref().unwrap_or_default().to_lowercase();
    if text.len() > MAX_TEXT {
        return Err(ApiError::invalid(format!("q: must have at most {MAX_TEXT} bytes")));
    }
    let takes = |task: &&Listed| wanted.state.is_none_or(|state| state.takes(&task.summary));
    let named = all.iter().filter(takes).filter(|task| task.is_named(&text));
    let mut found: Vec<_> = named.map(|task| &task.summary).collect();
    if wanted.order == Order::Failed {
        // Among their like they stay as they are.
        found.sort_by_key(|summary| summary.standing());
    }
    Ok(found)
}

pub(super) async fn list(
    State(server): State<Server>,
    Params(params): Params<Wanted>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let limit = number_in("limit", params.limit.as_ref(), MAX_TASKS, 1..=MAX_TASKS)?;
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let after = params.cursor.as_ref().map(|text| params.order.open(text)).transpose()?;
    let all = server.summaries.latest().await.map_err(|error| ApiError::store(&error))?;
    let found = wanted(&all, &params)?;
    let start = after.map_or(0, |(standing, updated, task)| {
        found.partition_point(|summary| params.order.place(summary) <= (standing, updated, &task))
    });
    let shown = &found[start..found.len().min(start.saturating_add(limit))];
    let mut answer = json!({
        "tasks": shown.iter().map(|task| json::summary(task)).collect::<Vec<_>>(),
        "total": found.len(),
    });
    if let Some(last) = shown.last().filter(|_| start + shown.len() < found.len()) {
        answer["next"] = params.order.seal(params.order.place(last)).into();
    }
    Ok(etag::json(&headers, answer.to_string()))
}

pub(super) async fn one(
    State(server): State<Server>,
    Named(task): Named<TaskId>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let workers = server.catalog.task(&task).ok_or_else(|| ApiError::not_found("task", task.as_str()))?;
    let mut shown = json::summary(&Summary::new(task, &workers));
    shown["workers"] = workers.iter().map(|state| json::worker(state)).collect();
    Ok(etag::json(&headers, shown.to_string()))
}
