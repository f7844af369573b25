//! Both versions of Helm, the values that the chart is rendered with, and what comes out.

use std::path::{Path, PathBuf};
use std::process::Output;

use ottoscaler_tests::binary::workspace;
pub(crate) use ottoscaler_tests::chart_tools::{HELMS, chart, text, tool};
use serde_json::Value;

/// The Kubernetes that the tests' API server is of.
const KUBE_VERSION: &str = "1.36.3";

/// The release of all tests, and its namespace.
pub(crate) const RELEASE: &str = "ottoscaler";
pub(crate) const NAMESPACE: &str = "otto";

/// One set of values that people may install with.
#[derive(Clone, Debug)]
pub(crate) struct Case {
    pub(crate) name: String,
    pub(crate) values: PathBuf,
}

/// All of them: those of the tests, and those that the chart brings along.
pub(crate) fn cases() -> Vec<Case> {
    let dir = workspace().join("tests/chart_tier/values");
    let files = dir.read_dir().unwrap().map(|entry| entry.unwrap().path());
    let own = files.map(|values| Case { name: stem(&values), values });
    let shipped = ["values-ha", "values-dev"].map(|name| {
        let values = chart().join(format!("{name}.yaml"));
        Case { name: name.to_owned(), values }
    });
    let mut cases: Vec<_> = own.chain(shipped).collect();
    cases.sort_by(|one, other| one.name.cmp(&other.name));
    assert!(cases.len() >= 16, "{cases:?}");
    cases
}

/// One of them.
pub(crate) fn case(name: &str) -> Case {
    cases().into_iter().find(|case| case.name == name).unwrap_or_else(|| panic!("no case {name}"))
}

fn stem(path: &Path) -> String {
    path.file_stem().unwrap().to_str().unwrap().to_owned()
}

/// What the chart comes to with these values, or what Helm says against it.
pub(crate) fn render(helm: &str, values: &Path, set: &[&str]) -> Result<String, String> {
    let mut command = tool(helm);
    command.args(["template", RELEASE]).arg(chart()).args(["--namespace", NAMESPACE]);
    command.args(["--kube-version", KUBE_VERSION]).arg("--values").arg(values);
    for set in set {
        command.args(["--set-json", set]);
    }
    let Output { status, stdout, stderr } = command.output().unwrap();
    if status.success() { Ok(text(&stdout)) } else { Err(text(&stderr)) }
}

/// One object of what was rendered.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Object {
    /// As it was written, without Helm's remark where it comes from.
    pub(crate) text: String,
    pub(crate) value: Value,
}

impl Object {
    pub(crate) fn kind(&self) -> &str {
        self.value["kind"].as_str().unwrap()
    }

    pub(crate) fn name(&self) -> &str {
        self.value["metadata"]["name"].as_str().unwrap()
    }

    /// What it is known by.
    pub(crate) fn id(&self) -> String {
        format!("{}/{}", self.kind(), self.name())
    }

    /// The Pod in it, for kinds that hold one.
    pub(crate) fn pod(&self) -> Option<&Value> {
        match self.kind() {
            "Pod" => Some(&self.value["spec"]),
            "Deployment" | "StatefulSet" | "Job" => Some(&self.value["spec"]["template"]["spec"]),
            _ => None,
        }
    }
}

/// The objects of a case, by kind and name.
pub(crate) fn objects(case: &Case) -> Vec<Object> {
    parse(&render("helm3", &case.values, &[]).unwrap_or_else(|error| panic!("{}: {error}", case.name)))
}

/// Reads what was rendered.
pub(crate) fn parse(rendered: &str) -> Vec<Object> {
    let documents = rendered.split("---\n").map(|document| {
        let lines = document.lines().filter(|line| !line.starts_with("# Source: "));
        lines.map(str::trim_end).collect::<Vec<_>>().join("\n").trim().to_owned()
    });
    let read = |text: String| {
        let value: Value = serde_saphyr::from_str(&text).unwrap_or_else(|error| panic!("{error}\n{text}"));
        Object { text, value }
    };
    let is_object = |document: &String| document.lines().any(|line| line.starts_with("kind:"));
    let mut objects: Vec<_> = documents.filter(is_object).map(read).collect();
    objects.sort_by_key(Object::id);
    objects
}
