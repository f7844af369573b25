//! The API's description of itself. Written by hand; tests hold it against the routes and against real answers.

use axum::http::HeaderMap;
use axum::response::Response;

use super::etag;

const DOCUMENT: &str = include_str!("openapi.json");

pub(super) async fn document(headers: HeaderMap) -> Response {
    etag::json(&headers, DOCUMENT)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde_json::Value;

    use super::*;
    use crate::http::API;

    #[test]
    fn every_route_is_described_and_nothing_else_is() {
        let document: Value = serde_json::from_str(DOCUMENT).unwrap();
        let described = document["paths"].as_object().unwrap().keys().map(String::as_str);
        let routes = API.iter().map(|(path, _)| *path);
        assert_eq!(described.collect::<BTreeSet<_>>(), routes.collect());
    }

    #[test]
    fn every_name_in_a_path_is_a_parameter_of_it() {
        let document: Value = serde_json::from_str(DOCUMENT).unwrap();
        for (path, methods) in document["paths"].as_object().unwrap() {
            let named = path
                .split(['{', '}'])
                .skip(1)
                .step_by(2)
                .map(|name| format!("#/components/parameters/{name}"));
            let none = Vec::new();
            let parameters = methods["get"]["parameters"].as_array().unwrap_or(&none);
            for name in named {
                assert!(parameters.iter().any(|parameter| parameter["$ref"] == *name), "{path}: {name}");
            }
        }
    }
}
