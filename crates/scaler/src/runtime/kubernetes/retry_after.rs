//! How long an API server that is asked too much wants to be left alone.
//!
//! Most refusals are a `Status` in JSON that says it. Those of priority and fairness, and of proxies, are
//! plain text with the seconds in the header `Retry-After` alone, of which the client library tells
//! nothing. Such an answer becomes a `Status` here, before the library looks at it.

use axum::BoxError;
use axum::body::{Body, Bytes, HttpBody};
use axum::http::{HeaderMap, Response, StatusCode, header};
use serde_json::json;

/// The answer, with what its header says about waiting in its body as well.
pub(super) fn in_body<B>(answer: Response<B>) -> Response<Body>
where
    B: HttpBody<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    match seconds(answer.status(), answer.headers()) {
        None => answer.map(Body::new),
        Some(seconds) => {
            let (parts, _text) = answer.into_parts();
            let status = json!({
                "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
                "code": parts.status.as_u16(),
                "reason": parts.status.canonical_reason().unwrap_or_default(),
                "message": "the API server is asked too much and wants to be left alone for a while",
                "details": { "retryAfterSeconds": seconds },
            });
            Response::from_parts(parts, Body::from(status.to_string()))
        }
    }
}

/// What the header asks for, where the body cannot.
fn seconds(status: StatusCode, headers: &HeaderMap) -> Option<u32> {
    let asks = [StatusCode::TOO_MANY_REQUESTS, StatusCode::SERVICE_UNAVAILABLE].contains(&status);
    let is_json = headers
        .get(header::CONTENT_TYPE)
        .and_then(|kind| kind.to_str().ok())
        .is_some_and(|kind| kind.starts_with("application/json"));
    if !asks || is_json {
        return None;
    }
    headers.get(header::RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: u16, headers: &[(&str, &str)]) -> Response<Body> {
        let builder = headers.iter().fold(Response::builder().status(status), |b, (k, v)| b.header(*k, *v));
        builder.body(Body::from("text")).unwrap()
    }

    async fn body(answer: Response<Body>) -> String {
        let bytes = axum::body::to_bytes(in_body(answer).into_body(), 4096).await.unwrap();
        String::from_utf8(bytes.to_vec()).unwrap()
    }

    #[tokio::test]
    async fn only_a_refusal_whose_header_alone_says_how_long_is_rewritten() {
        let rewritten = body(answer(429, &[("retry-after", "7"), ("content-type", "text/plain")])).await;
        let status: kube::core::Status = serde_json::from_str(&rewritten).unwrap();
        assert_eq!((status.code, status.details.unwrap().retry_after_seconds), (429, 7));
        for untouched in [
            answer(200, &[("retry-after", "7")]),
            answer(429, &[]),
            answer(429, &[("retry-after", "Wed, 21 Oct 2026 07:28:00 GMT")]),
            answer(429, &[("retry-after", "7"), ("content-type", "application/json")]),
            answer(500, &[("retry-after", "7")]),
        ] {
            assert_eq!(body(untouched).await, "text");
        }
    }
}
