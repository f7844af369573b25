//! Which lines of a log hold a text, or are of a stream, as JSON.

use axum::Json;
use axum::extract::State;
use serde::Deserialize;
use serde_json::{Value, json};

use super::error::ApiError;
use super::params::{Named, Params, flag, number, number_in};
use crate::ids::WorkerId;
use crate::line::{Sequence, Source};
use crate::search::{Kind, Sources, Wanted};
use crate::searches::{Found, SearchError};
use crate::server::Server;

/// Runs of lines that one answer gives where the client does not say.
const RUNS: u64 = 10_000;

/// Runs of lines that one answer gives at the most.
const MAX_RUNS: u64 = 100_000;

/// What to look for, and where.
#[derive(Default, Deserialize)]
pub(super) struct Asked {
    q: Option<String>,
    case: Option<String>,
    regex: Option<String>,
    source: Option<String>,
    from: Option<String>,
    limit: Option<String>,
}

pub(super) async fn search(
    State(server): State<Server>,
    Named(worker): Named<WorkerId>,
    Params(asked): Params<Asked>,
) -> Result<Json<Value>, ApiError> {
    let from = Sequence::new(number("from", asked.from.as_ref(), 1)?);
    let wanted = asked.wanted()?;
    let states =
        server.catalog.watch(&worker).ok_or_else(|| ApiError::not_found("worker", worker.as_str()))?;
    let found = server.searches.find(wanted, from, &server.tails, states, &server.draining).await;
    found.map(|found| Json(told(&found))).map_err(|error| match error {
        SearchError::Pattern(why) => ApiError::invalid(format!("q: {why}")),
        SearchError::Scan(error) => ApiError::scan(&error, "too_many_searches"),
    })
}

impl Asked {
    fn wanted(self) -> Result<Wanted, ApiError> {
        let case = flag("case", self.case.as_ref())?;
        let is_regex = flag("regex", self.regex.as_ref())?;
        let kind = if is_regex { Kind::Expression { case } } else { Kind::Text { case } };
        let limit = number_in("limit", self.limit.as_ref(), RUNS, 1..=MAX_RUNS)?;
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let sources = self.sources()?;
        Ok(Wanted { text: self.q.filter(|text| !text.is_empty()), kind, sources, limit })
    }

    fn sources(&self) -> Result<Sources, ApiError> {
        let Some(names) = &self.source else { return Ok(Sources::ALL) };
        names.split(',').try_fold(Sources::default(), |sources, name| {
            let known = [Source::Stdout, Source::Stderr, Source::System];
            let source = known.into_iter().find(|source| source.as_str() == name);
            let why = "source: must be some of stdout, stderr, system, with commas between";
            source.map(|source| sources.with(source)).ok_or_else(|| ApiError::invalid(why))
        })
    }
}

fn told(found: &Found) -> Value {
    let search = &found.search;
    let ranges: Vec<_> = search.runs().iter().map(|run| [run.first.get(), run.last.get()]).collect();
    json!({
        "matches": search.lines(),
        "ranges": ranges,
        "through": search.through().get(),
        "next": found.next.map(Sequence::get),
    })
}
