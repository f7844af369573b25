//! The page, as it was built from `web`: its files are embedded, and compressed once at the start. It may run its own
//! script and talk to its own server, nothing else.

use std::sync::Arc;

use axum::Router;
use axum::http::{HeaderMap, HeaderName, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use bytes::Bytes;

use super::coding::Coding;
use super::etag::{self, Tag};
use crate::server::Server;

/// All files of `web/dist`: path and bytes. The build script writes the table.
const FILES: &[(&str, &[u8])] = include!(concat!(env!("OUT_DIR"), "/page_files.rs"));

/// The one that stands at `/`.
const INDEX: &str = "index.html";

const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; \
                      base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// What stands with every file.
const HEADERS: [(HeaderName, HeaderValue); 5] = [
    (header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY)),
    (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    (header::REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
    (header::VARY, HeaderValue::from_static("accept-encoding")),
    etag::ASK_AGAIN,
];

/// A file of the page.
struct File {
    media_type: HeaderValue,
    /// As it is, and whatever is smaller.
    forms: Vec<Form>,
}

/// A file in one coding.
struct Form {
    coding: Coding,
    tag: Tag,
    body: Bytes,
}

/// A route for each file: their names do not change, and there is no other file to ask for.
pub(super) fn routes() -> Router<Server> {
    FILES.iter().fold(Router::new(), |router, (name, body)| {
        let path = if *name == INDEX { "/".to_owned() } else { format!("/{name}") };
        let file = Arc::new(File::new(name, body));
        router.route(&path, get(async move |headers: HeaderMap| file.answer(&headers)))
    })
}

impl File {
    fn new(name: &str, body: &'static [u8]) -> Self {
        let forms = Coding::ALL.into_iter().filter_map(|coding| Form::new(coding, body)).collect();
        Self { media_type: HeaderValue::from_static(media_type(name)), forms }
    }

    fn answer(&self, headers: &HeaderMap) -> Response {
        let coding = Coding::accepted(headers);
        let taken = self.forms.iter().find(|form| form.coding == coding);
        let Form { coding, tag, body } = taken.unwrap_or(&self.forms[0]);
        if let Some(known) = tag.known(headers) {
            return etag::not_modified(known);
        }
        let mut response = (HEADERS, body.clone()).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, self.media_type.clone());
        headers.insert(header::ETAG, tag.header());
        headers.extend(coding.header().map(|coding| (header::CONTENT_ENCODING, coding)));
        response
    }
}

impl Form {
    /// None where it is no smaller than the file itself.
    fn new(coding: Coding, file: &'static [u8]) -> Option<Self> {
        let body = match coding {
            Coding::Identity => Bytes::from_static(file),
            Coding::Gzip | Coding::Zstd => coding.encode(file).expect("memory takes everything").into(),
        };
        let is_wanted = coding == Coding::Identity || body.len() < file.len();
        is_wanted.then(|| Self { coding, tag: Tag::of(&body), body })
    }
}

fn media_type(name: &str) -> &'static str {
    match name.rsplit_once('.').map(|(_, extension)| extension) {
        Some("html") => "text/html; charset=utf-8",
        Some("js") => "text/javascript; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("json") => "application/json",
        Some("webmanifest") => "application/manifest+json",
        Some("svg") => "image/svg+xml",
        Some("png") => "image/png",
        Some("ico") => "image/x-icon",
        Some("woff2") => "font/woff2",
        Some("txt") => "text/plain; charset=utf-8",
        _ => UNKNOWN,
    }
}

/// Browsers do nothing with it.
const UNKNOWN: &str = "application/octet-stream";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_of_the_page_has_a_media_type_that_browsers_take() {
        assert!(FILES.iter().any(|(name, _)| *name == INDEX));
        for (name, _) in FILES {
            assert_ne!(media_type(name), UNKNOWN, "{name}");
        }
    }

    #[test]
    fn a_file_is_sent_as_the_client_takes_it_and_not_again_where_it_has_that() {
        let file = File::new("page.js", &[b'x'; 10_000]);
        let mut tags = Vec::new();
        for coding in ["identity", "gzip", "zstd"] {
            let mut headers = HeaderMap::from_iter([(header::ACCEPT_ENCODING, coding.parse().unwrap())]);
            let response = file.answer(&headers);
            let said =
                response.headers().get(header::CONTENT_ENCODING).map(|coding| coding.to_str().unwrap());
            assert_eq!(said.unwrap_or("identity"), coding);
            let tag = response.headers()[header::ETAG].clone();
            headers.insert(header::IF_NONE_MATCH, tag.clone());
            let again = file.answer(&headers);
            assert_eq!((again.status().as_u16(), &again.headers()[header::ETAG]), (304, &tag));
            tags.push(tag);
        }
        assert!(tags[0] != tags[1] && tags[1] != tags[2] && tags[0] != tags[2], "{tags:?}");
    }

    #[test]
    fn what_does_not_get_smaller_is_sent_as_it_is() {
        let headers = HeaderMap::from_iter([(header::ACCEPT_ENCODING, "gzip".parse().unwrap())]);
        let response = File::new("icon.png", b"?").answer(&headers);
        assert!(!response.headers().contains_key(header::CONTENT_ENCODING));
    }
}
