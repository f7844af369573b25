//! `/tasks` and `/tasks/{id}` on the admin HTTP: what each task waits for and what happens next.
//!
//! The controller answers, from what it decides on; a replica that does not lead says so (503).

use std::time::Duration;

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use serde_json::json;
use tokio::sync::{mpsc, oneshot, watch};

use crate::explain::{About, Answer, Question};
use crate::leader::Role;

/// A controller that does not answer within this is in the middle of something long.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(5);

/// Questions that wait for the controller.
pub const QUESTIONS: usize = 32;

/// Who is asked.
#[derive(Clone, Debug)]
pub struct Operate {
    /// The controller, while this replica leads.
    pub questions: mpsc::Sender<Question>,
    /// Whether it does.
    pub role: watch::Receiver<Role>,
}

/// The routes.
pub fn routes(operate: Operate) -> Router {
    Router::new()
        .route("/tasks", get(async |State(operate): State<Operate>| operate.ask(About::Tasks).await))
        .route("/tasks/{task}", get(task))
        .with_state(operate)
}

async fn task(State(operate): State<Operate>, Path(task): Path<String>) -> Response {
    match task.parse() {
        Ok(task) => operate.ask(About::Task(task)).await,
        Err(error) => refuse(StatusCode::BAD_REQUEST, "invalid_task", &format!("task: {error}")),
    }
}

impl Operate {
    async fn ask(&self, about: About) -> Response {
        if !self.role.borrow().leads {
            let message = "this replica does not lead; ask the one that does";
            return refuse(StatusCode::SERVICE_UNAVAILABLE, "not_leading", message);
        }
        let (reply, answer) = oneshot::channel();
        let asked = self.questions.try_send(Question { about, reply }).is_ok();
        let waited = tokio::time::timeout(ANSWER_TIMEOUT, answer).await;
        let Ok(Ok(answer)) = waited.map(|answer| answer.map_err(|_| asked)) else {
            return refuse(StatusCode::SERVICE_UNAVAILABLE, "busy", "the controller is busy; ask again");
        };
        match answer {
            Answer::NotYet => {
                let message = "records or workers were not read yet; ask again";
                refuse(StatusCode::SERVICE_UNAVAILABLE, "not_ready", message)
            }
            Answer::NoTask => {
                let message = "there is no such task, or it was finished and all of it removed";
                refuse(StatusCode::NOT_FOUND, "no_task", message)
            }
            Answer::Tasks(_) | Answer::Task(_) => Json(answer).into_response(),
        }
    }
}

fn refuse(status: StatusCode, code: &str, message: &str) -> Response {
    (status, Json(json!({ "code": code, "message": message }))).into_response()
}
