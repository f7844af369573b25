//! The API's description, held against what a log-ingest answers.

use std::collections::BTreeSet;

use ottoscaler_tests::agent;
use ottoscaler_tests::events::Events;
use ottoscaler_tests::ingest::Ingest;
use ottoscaler_tests::schema::Schemas;
use serde_json::Value;

/// What a worker prints that has all that there is to be told of a log: groups, levels, both streams, bytes that are no
/// text, a line without an end, and a failure.
const SCRIPT: &str = "echo '::group::build'; echo '::error::broken'; echo '::endgroup::'; \
                      printf 'caf\\351\\n'; echo on stderr >&2; printf 'no newline'; exit 3";

/// Paths to ask for each of the API's, and the status of the answer.
const QUESTIONS: [(&str, &str, u16); 29] = [
    ("/api/v1/openapi.json", "", 200),
    ("/api/v1/tasks", "", 200),
    ("/api/v1/tasks", "?limit=1", 200),
    ("/api/v1/tasks", "?state=failed&order=failed&q=w", 200),
    ("/api/v1/tasks", "?cursor=forged", 400),
    ("/api/v1/tasks/{task}", "", 200),
    ("/api/v1/tasks/unknown", "", 404),
    ("/api/v1/tasks/{task}/logs", "", 200),
    ("/api/v1/tasks/{task}/logs", "?direction=forward&limit=2", 200),
    ("/api/v1/tasks/{task}/logs", "?limit=0", 400),
    ("/api/v1/tasks/unknown/logs", "", 404),
    ("/api/v1/tasks/{task}/tail", "", 200),
    ("/api/v1/tasks/{task}/tail", "?cursor=forged", 400),
    ("/api/v1/workers/{worker}", "", 200),
    ("/api/v1/workers/unknown", "", 404),
    ("/api/v1/workers/{worker}/logs", "", 200),
    ("/api/v1/workers/{worker}/logs", "?from=-2", 200),
    ("/api/v1/workers/{worker}/logs", "?from=x", 400),
    ("/api/v1/workers/{worker}/logs", "?from=--1", 400),
    ("/api/v1/workers/{worker}/log.txt", "?from=2&to=3&download=true", 200),
    ("/api/v1/workers/{worker}/log.txt", "?download=maybe", 400),
    ("/api/v1/workers/{worker}/outline", "", 200),
    ("/api/v1/workers/unknown/outline", "", 404),
    ("/api/v1/workers/{worker}/search", "?q=e", 200),
    ("/api/v1/workers/{worker}/search", "?q=(&regex=true", 400),
    ("/api/v1/workers/{worker}/tail", "", 200),
    ("/api/v1/workers/{worker}/tail", "?batch=true", 200),
    ("/api/v1/workers/{worker}/tail", "?batch=maybe", 400),
    ("/api/v1/workers/unknown/tail", "", 404),
];

/// An answer, and what the document says of it.
async fn check(ingest: &Ingest, document: &Value, (path, query, status): (&str, &str, u16)) {
    let described =
        path.replace("/tasks/unknown", "/tasks/{task}").replace("/workers/unknown", "/workers/{worker}");
    let operation = &document["paths"][&described]["get"];
    let schemas = Schemas(document);
    let said = schemas.resolve(&operation["responses"][status.to_string()]);
    let asked = path.replace("{task}", "told").replace("{worker}", "told-0") + query;
    let url = ingest.http_url(&asked);
    let response = reqwest::get(&url).await.unwrap();
    assert_eq!(response.status().as_u16(), status, "{asked}");
    for header in said["headers"].as_object().into_iter().flat_map(|headers| headers.keys()) {
        assert!(response.headers().contains_key(header), "{asked}: {header}");
    }
    let media_type = response.headers()["content-type"].to_str().unwrap().to_owned();
    let content = &said["content"][&media_type];
    assert!(content.is_object(), "{asked}: {media_type} is not described");
    for parameter in query.trim_start_matches('?').split('&').filter_map(|pair| pair.split_once('=')) {
        let mut known = operation["parameters"].as_array().unwrap().iter();
        assert!(known.any(|known| schemas.resolve(known)["name"] == parameter.0), "{asked}: {}", parameter.0);
    }
    let holds = |schema: &Value, value: &Value| {
        schemas.check(schema, value).unwrap_or_else(|why| panic!("{asked}: {why}: {value}"));
    };
    match &*media_type {
        "application/json" => holds(&content["schema"], &response.json().await.unwrap()),
        "application/x-ndjson" => {
            let text = response.text().await.unwrap();
            text.lines().for_each(|line| holds(&content["schema"], &serde_json::from_str(line).unwrap()));
        }
        "text/event-stream" => {
            let mut events = Events::open(&url, None).await.unwrap();
            let mut names = BTreeSet::new();
            while let Some(event) = events.next().await.unwrap() {
                let name = event.name.clone().unwrap_or("message".to_owned());
                holds(&content["x-events"][&name], &event.json());
                names.insert(name);
            }
            assert!(names.contains("message") && names.contains("end"), "{asked}: {names:?}");
        }
        _ => holds(&content["schema"], &response.text().await.unwrap().into()),
    }
}

/// For each number that a request may say, each bound of it, and what is beyond that; and the status of the answer.
fn bounds(document: &Value) -> Vec<(String, u16)> {
    let (schemas, mut asked) = (Schemas(document), Vec::new());
    for (path, methods) in document["paths"].as_object().unwrap() {
        for parameter in methods["get"]["parameters"].as_array().unwrap() {
            let parameter = schemas.resolve(parameter);
            let (name, schema) = (parameter["name"].as_str().unwrap(), &parameter["schema"]);
            let bound = |bound: &str| schema[bound].as_i64();
            assert!(name != "limit" || (bound("minimum").is_some() && bound("maximum").is_some()), "{path}");
            for (bound, beyond) in [(bound("minimum"), -1), (bound("maximum"), 1)] {
                let Some(bound) = bound else { continue };
                asked.push((format!("{path}?{name}={bound}"), 200));
                asked.push((format!("{path}?{name}={}", bound + beyond), 400));
            }
        }
    }
    asked
}

#[tokio::test]
async fn every_number_in_a_request_is_held_to_the_range_that_is_described() {
    let dir = tempfile::tempdir().unwrap();
    let ingest = Ingest::start(dir.path(), &[]).await;
    let mut command = agent::command(&ingest.url(), "told-0");
    command.args(["--task-id", "told", "--", "true"]);
    assert!(agent::output(command).await.status.success());
    ingest.completed("told", "told-0").await;
    let bounds = bounds(&ingest.get_json("/api/v1/openapi.json").await.unwrap());
    assert!(bounds.len() >= 20, "{bounds:?}");
    for (asked, expected) in bounds {
        let asked = asked.replace("{task}", "told").replace("{worker}", "told-0");
        let response = reqwest::get(ingest.http_url(&asked)).await.unwrap();
        assert_eq!(response.status().as_u16(), expected, "{asked}");
        if expected == 400 {
            let error: Value = response.json().await.unwrap();
            let name = asked.split(['?', '=']).nth(1).unwrap();
            assert_eq!(error["code"], "invalid_argument", "{asked}");
            assert!(error["message"].as_str().unwrap().starts_with(&format!("{name}: ")), "{asked}: {error}");
        }
    }
}

#[tokio::test]
async fn every_answer_of_the_api_is_as_it_is_described() {
    let dir = tempfile::tempdir().unwrap();
    let ingest = Ingest::start(dir.path(), &[]).await;
    for (task, worker) in [("told", "told-0"), ("another", "another-0")] {
        let mut command = agent::command(&ingest.url(), worker);
        command.args(["--task-id", task, "--", "sh", "-c", SCRIPT]);
        assert_eq!(agent::output(command).await.status.code(), Some(3));
        ingest.completed(task, worker).await;
    }
    let document = ingest.get_json("/api/v1/openapi.json").await.unwrap();
    for question in QUESTIONS {
        check(&ingest, &document, question).await;
    }
    let asked: BTreeSet<_> =
        QUESTIONS.iter().filter(|(.., status)| *status == 200).map(|(path, ..)| *path).collect();
    let described = document["paths"].as_object().unwrap().keys().map(String::as_str);
    assert_eq!(described.collect::<BTreeSet<_>>(), asked, "each path is asked for");
}
