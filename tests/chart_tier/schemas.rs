//! Everything that is rendered, against the schemas of a real API server: no field that it would drop without
//! a word, none of the wrong type. The kinds of others (Prometheus operator, Gateway API) have schemas of the
//! tests' own, of what the chart uses of them.

use std::collections::BTreeMap;
use std::path::Path;

use http::Request;
use ottoscaler_tests::binary::workspace;
use ottoscaler_tests::kube_api::{ADMIN, KubeApi};
use serde_json::{Map, Value, json};

use crate::helm::{cases, render, text, tool};

/// The groups that the chart has objects of.
const GROUPS: [&str; 6] = [
    "api/v1",
    "apis/apps/v1",
    "apis/batch/v1",
    "apis/policy/v1",
    "apis/networking.k8s.io/v1",
    "apis/rbac.authorization.k8s.io/v1",
];

/// What kubeconform looks a kind up by. Of the core group it says the version in the group's place.
const LOCATION: &str = "{{ .Group }}_{{ .ResourceAPIVersion }}_{{ .ResourceKind }}.json";

async fn get(api: &KubeApi, path: &str) -> Value {
    let request = Request::get(path).body(Vec::new()).unwrap();
    serde_json::from_str(&api.client(ADMIN).request_text(request).await.unwrap()).unwrap()
}

/// OpenAPI as JSON Schema of the strict kind: no field beyond those that are named.
fn strict(schema: &mut Value) {
    match schema {
        Value::Object(fields) => {
            if fields.get("format") == Some(&json!("int-or-string")) {
                fields.remove("format");
                fields.remove("type");
            }
            if fields.get("properties").is_some_and(Value::is_object)
                && fields.get("type") == Some(&json!("object"))
            {
                fields.entry("additionalProperties").or_insert(Value::Bool(false));
            }
            fields.values_mut().for_each(strict);
        }
        Value::Array(items) => items.iter_mut().for_each(strict),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// Writes a file for each kind of a group; gives how many.
fn write(group: &str, schemas: &Map<String, Value>, dir: &Path) -> usize {
    let whole = format!("{}.json", group.replace('/', "-"));
    std::fs::write(dir.join(&whole), json!({"components": {"schemas": schemas}}).to_string()).unwrap();
    let mut count = 0;
    for (name, schema) in schemas {
        for known in schema["x-kubernetes-group-version-kind"].as_array().into_iter().flatten() {
            let [of, version, kind] =
                ["group", "version", "kind"].map(|field| known[field].as_str().unwrap());
            let of = if of.is_empty() { version } else { of };
            let reference = json!({"$ref": format!("{whole}#/components/schemas/{name}")});
            let file = format!("{of}_{version}_{}.json", kind.to_lowercase());
            std::fs::write(dir.join(file), reference.to_string()).unwrap();
            count += 1;
        }
    }
    count
}

async fn schemas(dir: &Path) {
    let api = KubeApi::start().await;
    let index = get(&api, "/openapi/v3").await;
    for group in GROUPS {
        let path = index["paths"][group]["serverRelativeURL"].as_str().unwrap().to_owned();
        let mut document = get(&api, &path).await;
        let mut schemas = document["components"]["schemas"].take();
        strict(&mut schemas);
        assert!(write(group, schemas.as_object().unwrap(), dir) > 2, "{group}");
    }
    for file in workspace().join("tests/chart_tier/schemas").read_dir().unwrap() {
        let file = file.unwrap().path();
        std::fs::copy(&file, dir.join(file.file_name().unwrap())).unwrap();
    }
}

/// What kubeconform says of manifests, by what is wrong; and how many objects it has checked.
fn conform(dir: &Path, manifests: &Path) -> (Vec<String>, u64) {
    let mut command = tool("kubeconform");
    command.args(["-strict", "-summary", "-output", "json", "-schema-location"]);
    let output = command.arg(dir.join(LOCATION)).arg(manifests).output().unwrap();
    let said: Value = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|error| panic!("{error}: {}{}", text(&output.stdout), text(&output.stderr)));
    let wrong = said["resources"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|found| format!("{} {}: {}", found["kind"], found["name"], found["msg"]));
    let counts: BTreeMap<String, u64> = serde_json::from_value(said["summary"].clone()).unwrap();
    assert_eq!(counts["skipped"], 0);
    (wrong.collect(), counts["valid"])
}

#[tokio::test]
async fn everything_that_is_rendered_is_what_the_api_server_knows() {
    let dir = tempfile::tempdir().unwrap();
    let (known, manifests) = (dir.path().join("schemas"), dir.path().join("manifests"));
    for dir in [&known, &manifests] {
        std::fs::create_dir(dir).unwrap();
    }
    schemas(&known).await;
    for case in cases() {
        let rendered = render("helm3", &case.values, &[]).unwrap();
        std::fs::write(manifests.join(format!("{}.yaml", case.name)), rendered).unwrap();
    }
    let (wrong, valid) = conform(&known, &manifests);
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(valid > 300, "{valid}");

    // And it would have said so.
    let bad = dir.path().join("bad");
    std::fs::create_dir(&bad).unwrap();
    for (name, from, to) in [
        ("trial", "containerPort:", "containerPrt:"),
        ("trial", "replicas: 2", "replicas: two"),
        ("routes", "backendRefs:", "backendRfs:"),
        ("monitoring", "scrapeTimeout:", "scrapTimeout:"),
    ] {
        let rendered = std::fs::read_to_string(manifests.join(format!("{name}.yaml"))).unwrap();
        assert!(rendered.contains(from), "{name}: {from}");
        std::fs::write(bad.join("bad.yaml"), rendered.replace(from, to)).unwrap();
        assert!(!conform(&known, &bad).0.is_empty(), "{to} is found good");
    }
}
