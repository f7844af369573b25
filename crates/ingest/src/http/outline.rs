//! What one look through a log tells, as JSON.

use std::collections::BTreeMap;

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use serde::Serialize;

use super::error::ApiError;
use super::etag::Tagged;
use super::params::Named;
use crate::ids::WorkerId;
use crate::line::{Sequence, Source};
use crate::outline::{End, Group, Outline};
use crate::retention;
use crate::server::Server;
use crate::service::rfc3339;
use crate::worker::WorkerState;

pub(super) async fn outline(
    State(server): State<Server>,
    Named(worker): Named<WorkerId>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let states =
        server.catalog.watch(&worker).ok_or_else(|| ApiError::not_found("worker", worker.as_str()))?;
    let tell = |outline: &Outline, state: &WorkerState| Tagged::new(Told::new(outline, state).to_json());
    let told = server.outlines.told(&server.tails, states, &server.draining, tell).await;
    let told = told.map_err(|error| ApiError::scan(&error, "too_many_scans"))?;
    Ok(told.answer(&headers))
}

/// First and last line that are missing, and why.
type ToldGap<'a> = (u64, u64, &'a str);

#[derive(Serialize)]
struct Told<'a> {
    last_sequence: u64,
    complete: bool,
    gaps: Vec<ToldGap<'a>>,
    gaps_left_out: u64,
    groups: Vec<ToldGroup<'a>>,
    groups_left_out: u64,
    counts: BTreeMap<&'static str, u64>,
    levels: BTreeMap<&'static str, u64>,
    first_failure: Option<u64>,
    marks: Vec<(u64, &'static str)>,
    styles: Vec<(u64, String)>,
}

#[derive(Serialize)]
struct ToldGroup<'a> {
    first: u64,
    last: Option<u64>,
    title: &'a str,
    depth: u8,
    collapsed: bool,
    started_at: String,
    ended_at: Option<String>,
}

impl<'a> Told<'a> {
    /// Of lines that retention took since, nothing is told but that.
    fn new(outline: &'a Outline, state: &WorkerState) -> Self {
        let through = outline.through();
        let trimmed = state.trimmed.min(through);
        let complete = state.closing.is_some() && through >= state.high;
        let end = complete.then(|| outline.end());
        let is_there = |at: &Sequence| *at > trimmed;
        let count = |source: Source| (source.as_str(), outline.lines(source));
        Self {
            last_sequence: through.get(),
            complete,
            gaps: gaps(outline, trimmed),
            gaps_left_out: outline.gaps_left_out(),
            groups: outline
                .groups()
                .iter()
                .filter(|group| is_there(&group.first))
                .map(|group| ToldGroup::new(group, end))
                .collect(),
            groups_left_out: outline.groups_left_out(),
            counts: [Source::Stdout, Source::Stderr, Source::System].map(count).into(),
            levels: outline.levels().seen().map(|(level, lines)| (level.as_str(), lines)).collect(),
            first_failure: outline.first_failure().filter(is_there).map(Sequence::get),
            marks: outline
                .marks()
                .iter()
                .filter(|(at, _)| is_there(at))
                .map(|(at, level)| (at.get(), level.as_str()))
                .collect(),
            styles: outline
                .styles()
                .iter()
                .filter(|(at, _)| is_there(at))
                .map(|(at, style)| (at.get(), style.to_string()))
                .collect(),
        }
    }

    fn to_json(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("its keys are text, and nothing in it can fail")
    }
}

/// What retention took as one gap, and those behind it.
fn gaps(outline: &Outline, trimmed: Sequence) -> Vec<ToldGap<'_>> {
    let taken = (trimmed > Sequence::ZERO).then(|| (1, trimmed.get(), retention::REASON));
    let others = outline.gaps().iter().filter(|gap| gap.last > trimmed);
    let others = others.map(|gap| (gap.first.max(trimmed.next()).get(), gap.last.get(), &*gap.reason));
    taken.into_iter().chain(others).collect()
}

impl<'a> ToldGroup<'a> {
    /// Where nothing more comes, what is open ends with the log.
    fn new(group: &'a Group, end_of_log: Option<End>) -> Self {
        let end = group.end.or(end_of_log);
        Self {
            first: group.first.get(),
            last: end.map(|end| end.last.get()),
            title: &group.title,
            depth: group.depth,
            collapsed: group.collapsed,
            started_at: rfc3339(group.started_ns),
            ended_at: end.map(|end| rfc3339(end.at_ns)),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use serde_json::{Value, json};

    use super::*;
    use crate::line::{Block, Content, Extra, LinesBuilder, Mark};
    use crate::worker::{Closing, Registration};

    fn told(lines: &[&str], change: impl FnOnce(&mut WorkerState)) -> Value {
        let mut builder = LinesBuilder::default();
        for (line, at) in lines.iter().zip(0..) {
            builder.push(at * 1_000_000_000, Mark::default(), line.as_bytes(), Extra::default());
        }
        let content = Content::Lines(builder.finish());
        let mut outline = Outline::default();
        outline.read(&Block { first: Sequence::new(1), content });
        let mut state = WorkerState::new(Registration::recovered(WorkerId::try_from("w").unwrap()), 0);
        state.high = outline.through();
        change(&mut state);
        serde_json::from_slice(&Told::new(&outline, &state).to_json()).unwrap()
    }

    const LINES: [&str; 4] = ["::group::a", "::error::no", "::endgroup::", "+++ rest"];

    fn close(state: &mut WorkerState) {
        state.closing = Some(Closing { exit_code: Some(1), signal: 0, reason: Arc::default() });
    }

    #[test]
    fn a_group_is_open_until_it_ends_or_the_log_does() {
        let open = told(&LINES, |_| ());
        let (first, second) = ("1970-01-01T00:00:00Z", "1970-01-01T00:00:02Z");
        let group = json!({"first": 1, "last": 3, "title": "a", "depth": 0, "collapsed": true,
            "started_at": first, "ended_at": second});
        assert_eq!(open["groups"][0], group);
        assert_eq!(
            (&open["groups"][1]["last"], &open["groups"][1]["ended_at"]),
            (&Value::Null, &Value::Null)
        );
        assert_eq!((&open["complete"], &open["last_sequence"]), (&json!(false), &json!(4)));
        let closed = told(&LINES, close);
        assert_eq!((&closed["groups"][1]["last"], &closed["complete"]), (&json!(4), &json!(true)));
        let behind = told(&LINES, |state| {
            close(state);
            state.high = state.high.next();
        });
        assert_eq!(behind["complete"], json!(false));
    }

    #[test]
    fn of_lines_that_retention_took_since_nothing_is_told_but_that() {
        let whole = told(&LINES, |_| ());
        assert_eq!((&whole["first_failure"], &whole["marks"]), (&json!(2), &json!([[2, "error"]])));
        assert_eq!(whole["gaps"], json!([]));
        let rest = told(&LINES, |state| state.trimmed = Sequence::new(3));
        assert_eq!((&rest["first_failure"], &rest["marks"]), (&Value::Null, &json!([])));
        assert_eq!(rest["gaps"], json!([[1, 3, "retention"]]));
        assert_eq!(rest["groups"].as_array().unwrap().len(), 1);
        assert_eq!(rest["counts"], json!({"stdout": 4, "stderr": 0, "system": 0}));
    }
}
