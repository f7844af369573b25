//! Errors as JSON with a code that programs match and a message for people.

use std::io;

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use crate::scan::ScanError;
use crate::tail::TooManyReaders;

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

    pub(super) fn busy(refused: TooManyReaders) -> Self {
        Self {
            status: StatusCode::SERVICE_UNAVAILABLE,
            code: "too_many_readers",
            message: refused.to_string(),
        }
    }

    /// Of more logs than that none is made of all.
    pub(super) fn too_many_workers(most: usize) -> Self {
        Self {
            status: StatusCode::UNPROCESSABLE_ENTITY,
            code: "too_many_workers",
            message: format!("the task has more than {most} workers: read their logs one by one"),
        }
    }

    /// The log cannot be read for now.
    pub(super) fn store(error: &io::Error) -> Self {
        Self { status: StatusCode::SERVICE_UNAVAILABLE, code: "store_failed", message: error.to_string() }
    }

    /// What it says.
    pub(super) fn body(&self) -> Value {
        json!({"code": self.code, "message": self.message})
    }

    /// Of a look through a log; `too_many` is the word where there are too many of its kind.
    pub(super) fn scan(error: &ScanError, too_many: &'static str) -> Self {
        let code = match error {
            ScanError::TooMany => too_many,
            ScanError::TooManyReaders(refused) => return Self::busy(*refused),
            ScanError::Store(_) => "store_failed",
            ScanError::Stopping => "stopping",
        };
        let why = std::error::Error::source(error).map(|source| format!(": {source}"));
        let message = format!("{error}{}", why.unwrap_or_default());
        Self { status: StatusCode::SERVICE_UNAVAILABLE, code, message }
    }

    pub(super) fn invalid(message: impl Into<String>) -> Self {
        Self { status: StatusCode::BAD_REQUEST, code: "invalid_argument", message: message.into() }
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let mut response = (self.status, Json(self.body())).into_response();
        if self.status == StatusCode::SERVICE_UNAVAILABLE {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
        }
        response
    }
}

pub(super) async fn no_such_path() -> ApiError {
    ApiError {
        status: StatusCode::NOT_FOUND,
        code: "no_such_path",
        message: "there is nothing at this path".to_owned(),
    }
}

pub(super) async fn no_such_method() -> ApiError {
    ApiError {
        status: StatusCode::METHOD_NOT_ALLOWED,
        code: "no_such_method",
        message: "this path takes GET and HEAD".to_owned(),
    }
}
