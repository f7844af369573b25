//! Entity tags: what a client has of an answer, it is not sent again.
//!
//! A tag is made of the answer's bytes, so it is the same after a restart and on another server. The two codings
//! of one answer are not the same bytes, and are told apart by the end of their tags.

use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use sha2::{Digest, Sha256};

/// Bytes of a digest that make a tag: two answers that differ never have the same by chance.
const DIGEST: usize = 16;

/// The tag of one answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Tag(String);

impl Tag {
    /// Of an answer with this body.
    pub(super) fn of(body: &[u8]) -> Self {
        Self(hex::encode(&Sha256::digest(body)[..DIGEST]))
    }

    /// As a header says it.
    pub(super) fn header(&self) -> HeaderValue {
        HeaderValue::from_str(&format!("\"{}\"", self.0)).expect("it is made of digits and letters")
    }

    /// The tag under which the client has this very answer already, in whatever coding.
    pub(super) fn known(&self, headers: &HeaderMap) -> Option<HeaderValue> {
        let given = headers.get_all(header::IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok());
        let mut tags = given.flat_map(|value| value.split(',')).map(str::trim);
        let tag = tags.find(|tag| *tag == "*" || is_of(tag, &self.0))?;
        let strong = tag.strip_prefix("W/").unwrap_or(tag);
        if tag == "*" { Some(self.header()) } else { HeaderValue::from_str(strong).ok() }
    }
}

/// Whether a quoted tag is this one, or that of its compressed form.
fn is_of(tag: &str, digest: &str) -> bool {
    let tag = tag.strip_prefix("W/").unwrap_or(tag);
    let inner = tag.strip_prefix('"').and_then(|tag| tag.strip_suffix('"'));
    let coding = inner.and_then(|inner| inner.strip_prefix(digest));
    coding.is_some_and(|coding| matches!(coding, "" | "-gzip" | "-zstd"))
}

/// A JSON answer with its tag, or 304 where the client has it.
pub(super) fn json(headers: &HeaderMap, body: impl Into<Bytes>) -> Response {
    Tagged::new(body).answer(headers)
}

/// A JSON answer and its tag. To make the tag of a large one takes some milliseconds.
pub(super) struct Tagged {
    body: Bytes,
    tag: Tag,
}

impl Tagged {
    pub(super) fn new(body: impl Into<Bytes>) -> Self {
        let body = body.into();
        let tag = Tag::of(&body);
        Self { body, tag }
    }

    /// The answer, or 304 where the client has it.
    pub(super) fn answer(self, headers: &HeaderMap) -> Response {
        if let Some(known) = self.tag.known(headers) {
            return not_modified(known);
        }
        let json = HeaderValue::from_static("application/json");
        let headers = [(header::CONTENT_TYPE, json), (header::ETAG, self.tag.header()), ASK_AGAIN];
        (headers, self.body).into_response()
    }
}

/// A client may keep the answer, and asks each time whether it is still that.
pub(super) const ASK_AGAIN: (header::HeaderName, HeaderValue) =
    (header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));

/// What the client has is what there is.
pub(super) fn not_modified(tag: HeaderValue) -> Response {
    let vary = (header::VARY, HeaderValue::from_static("accept-encoding"));
    (StatusCode::NOT_MODIFIED, [(header::ETAG, tag), vary, ASK_AGAIN]).into_response()
}

/// Gives the tag of an answer that was compressed on its way out an end of its own.
pub(super) async fn name_coding(mut response: Response) -> Response {
    let headers = response.headers_mut();
    let coding = headers.get(header::CONTENT_ENCODING).and_then(|coding| coding.to_str().ok());
    let tag = headers.get(header::ETAG).and_then(|tag| tag.to_str().ok()?.strip_suffix('"'));
    if let (Some(coding), Some(tag)) = (coding, tag)
        && let Ok(named) = HeaderValue::from_str(&format!("{tag}-{coding}\""))
    {
        headers.insert(header::ETAG, named);
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asking(tags: &str) -> HeaderMap {
        HeaderMap::from_iter([(header::IF_NONE_MATCH, HeaderValue::from_str(tags).unwrap())])
    }

    #[test]
    fn an_answer_is_known_by_its_tag_in_any_coding_and_by_no_other() {
        let tag = Tag::of(b"body");
        let quoted = tag.header().to_str().unwrap().to_owned();
        let zstd = quoted.replace('"', "") + "-zstd";
        for (given, answer) in [
            (quoted.clone(), Some(quoted.clone())),
            (format!("W/{quoted}"), Some(quoted.clone())),
            (format!("\"other\", \"{zstd}\""), Some(format!("\"{zstd}\""))),
            ("*".to_owned(), Some(quoted.clone())),
            ("\"other\"".to_owned(), None),
            (quoted.replace('"', ""), None),
            (quoted.replace('"', "\"x"), None),
            (format!("\"{zstd}x\""), None),
        ] {
            let known = tag.known(&asking(&given));
            assert_eq!(known, answer.map(|tag| HeaderValue::from_str(&tag).unwrap()), "{given}");
        }
        assert_eq!(tag.known(&HeaderMap::new()), None);
        assert_ne!(tag, Tag::of(b"another body"));
    }

    #[tokio::test]
    async fn two_codings_of_an_answer_have_two_tags() {
        let response = |coding: Option<&'static str>| {
            let mut response = ([(header::ETAG, "\"tag\"")], "body").into_response();
            let coding = coding.map(HeaderValue::from_static);
            coding.map(|coding| response.headers_mut().insert(header::CONTENT_ENCODING, coding));
            response
        };
        for (coding, tag) in
            [(None, "\"tag\""), (Some("zstd"), "\"tag-zstd\""), (Some("gzip"), "\"tag-gzip\"")]
        {
            assert_eq!(name_coding(response(coding)).await.headers()[header::ETAG], tag);
        }
    }
}
