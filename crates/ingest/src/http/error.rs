//! Errors as JSON with a code that programs match and a message for people.

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::json;

use crate::ids::{TaskId, WorkerId};

/// Why a request has no answer.
#[derive(Debug)]
pub(super) struct ApiError {
    status: StatusCode,
    code: &'static str,
    message: String,
}

impl ApiError {
    pub(super) fn not_found(what: &str, name: &str) -> Self {
        let message = format!("{what} {name} is not known");
        Self { status: StatusCode::NOT_FOUND, code: "not_found", message }
    }

    pub(super) fn invalid(message: impl Into<String>) -> Self {
        Self { status: StatusCode::BAD_REQUEST, code: "invalid_argument", message: message.into() }
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        (self.status, Json(json!({"code": self.code, "message": self.message}))).into_response()
    }
}

pub(super) async fn no_such_path() -> ApiError {
    ApiError {
        status: StatusCode::NOT_FOUND,
        code: "no_such_path",
        message: "there is nothing at this path".to_owned(),
    }
}

pub(super) fn worker_id(name: &str) -> Result<WorkerId, ApiError> {
    WorkerId::try_from(name).map_err(|why| ApiError::invalid(format!("worker: {why}")))
}

pub(super) fn task_id(name: &str) -> Result<TaskId, ApiError> {
    TaskId::try_from(name).map_err(|why| ApiError::invalid(format!("task: {why}")))
}
