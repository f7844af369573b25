//! What requests say, parsed once, with a JSON error that names the part.

use std::ops::RangeInclusive;

use axum::extract::{FromRequestParts, Path, Query};
use axum::http::request::Parts;
use serde::de::DeserializeOwned;

use super::error::ApiError;
use crate::ids::{TaskId, WorkerId};

/// The name of a worker or a task that stands in the path.
pub(super) struct Named<T>(pub(super) T);

/// A name that a path may hold.
pub(super) trait Name: Sized {
    fn parse(text: &str) -> Result<Self, ApiError>;
}

impl Name for WorkerId {
    fn parse(text: &str) -> Result<Self, ApiError> {
        Self::try_from(text).map_err(|why| ApiError::invalid(format!("worker: {why}")))
    }
}

impl Name for TaskId {
    fn parse(text: &str) -> Result<Self, ApiError> {
        Self::try_from(text).map_err(|why| ApiError::invalid(format!("task: {why}")))
    }
}

impl<S: Send + Sync, T: Name> FromRequestParts<S> for Named<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let path = Path::<String>::from_request_parts(parts, state).await;
        let Path(text) = path.map_err(|why| ApiError::invalid(format!("path: {}", why.body_text())))?;
        T::parse(&text).map(Self)
    }
}

/// What stands behind the question mark.
pub(super) struct Params<T>(pub(super) T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for Params<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let query = Query::<T>::from_request_parts(parts, state).await;
        let Query(params) = query.map_err(|why| ApiError::invalid(format!("query: {}", why.body_text())))?;
        Ok(Self(params))
    }
}

/// A number in the query, or what stands for it where there is none.
pub(super) fn number(field: &str, text: Option<&String>, default: u64) -> Result<u64, ApiError> {
    let invalid = |_| ApiError::invalid(format!("{field}: must be a number from 0 on"));
    text.map_or(Ok(default), |text| text.parse().map_err(invalid))
}

/// The same, where not every number will do.
pub(super) fn number_in(
    field: &str,
    text: Option<&String>,
    default: u64,
    range: RangeInclusive<u64>,
) -> Result<u64, ApiError> {
    let invalid =
        || ApiError::invalid(format!("{field}: must be a number from {} to {}", range.start(), range.end()));
    let number = text.map_or(Ok(default), |text| text.parse().map_err(|_| invalid()))?;
    if range.contains(&number) { Ok(number) } else { Err(invalid()) }
}

/// Yes or no in the query; no where there is nothing.
pub(super) fn flag(field: &str, text: Option<&String>) -> Result<bool, ApiError> {
    match text.map(String::as_str) {
        Some("true") => Ok(true),
        Some("false") | None => Ok(false),
        Some(_) => Err(ApiError::invalid(format!("{field}: must be true or false"))),
    }
}
