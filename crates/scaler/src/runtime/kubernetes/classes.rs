//! Resource classes: what the operator adds to the Pods of workers, read from one YAML file and
//! checked at start.
//!
//! ```yaml
//! podTemplate:                # for every worker
//!   spec: { serviceAccountName: ci, nodeSelector: { pool: ci } }
//! resourceClasses:
//!   default:                  # for workers whose event names none
//!     podTemplate: { spec: { containers: [{ name: worker, resources: { limits: { memory: 1Gi } } }] } }
//!   root:
//!     security: baseline      # for images that have to run as root
//! ```
//!
//! Templates are merged strategically, as Kubernetes merges patches: maps by key, containers, volumes
//! and variables by name. An event can name a class and cannot reach beyond it.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result, bail};
use k8s_openapi::api::core::v1::{Container, PodTemplateSpec};
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::Value;

use super::names::{INSTALL, WORKER};
use crate::runtime::security::Security;

/// The class of workers whose event names none.
const DEFAULT: &str = "default";

/// The configured classes.
#[derive(Clone, Debug, Default)]
pub struct Classes {
    common: PodTemplateSpec,
    classes: BTreeMap<String, Class>,
}

/// One class.
#[derive(Clone, Debug, Default)]
pub(super) struct Class {
    pub(super) security: Security,
    pub(super) template: PodTemplateSpec,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct File {
    #[serde(default)]
    pod_template: Option<Value>,
    /// For the docker runtime, which reads the same file.
    #[serde(default, rename = "docker")]
    _docker: IgnoredAny,
    #[serde(default)]
    resource_classes: BTreeMap<String, ClassFile>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct ClassFile {
    #[serde(default)]
    security: Security,
    #[serde(default)]
    pod_template: Option<Value>,
    #[serde(default, rename = "docker")]
    _docker: IgnoredAny,
}

impl Classes {
    /// Reads a file. The error names the field.
    pub fn read(path: &Path) -> Result<Self> {
        let shown = path.display();
        let hint = "--worker-config (OTTO_WORKER_CONFIG)";
        let text =
            std::fs::read_to_string(path).with_context(|| format!("cannot read {shown}, named by {hint}"))?;
        Self::parse(&text).with_context(|| format!("{shown}, named by {hint}"))
    }

    fn parse(text: &str) -> Result<Self> {
        let file: File = serde_saphyr::from_str(text).map_err(|error| anyhow::anyhow!("{error}"))?;
        let common = template("podTemplate", file.pod_template)?;
        let mut classes = BTreeMap::new();
        for (name, class) in file.resource_classes {
            let template = template(&format!("resourceClasses.{name}.podTemplate"), class.pod_template)?;
            classes.insert(name, Class { security: class.security, template });
        }
        Ok(Self { common, classes })
    }

    /// What is merged into the Pod of a worker of this class, first to last, and how it is confined.
    pub(super) fn of(&self, name: Option<&str>) -> Result<(Security, [&PodTemplateSpec; 2]), String> {
        static NONE: std::sync::LazyLock<Class> = std::sync::LazyLock::new(Class::default);
        let class = match name {
            Some(name) => self.classes.get(name).ok_or_else(|| self.no_such_class(name))?,
            None => self.classes.get(DEFAULT).unwrap_or(&NONE),
        };
        Ok((class.security, [&self.common, &class.template]))
    }

    fn no_such_class(&self, name: &str) -> String {
        let known: Vec<_> = self.classes.keys().map(String::as_str).collect();
        let known = if known.is_empty() { "none is configured".to_owned() } else { known.join(", ") };
        format!("resource_class: there is no class {name:?}; there are: {known}")
    }
}

/// Reads a template and refuses what is misspelt or not the operator's to set.
fn template(field: &str, given: Option<Value>) -> Result<PodTemplateSpec> {
    let Some(given) = given else { return Ok(PodTemplateSpec::default()) };
    let template: PodTemplateSpec =
        serde_json::from_value(given.clone()).with_context(|| format!("{field} is no Pod template"))?;
    let understood = serde_json::to_value(&template).context("a template is plain data")?;
    if let Some(lost) = lost(&given, &understood) {
        bail!("{field}{lost}: Kubernetes knows no such field");
    }
    check(&template).with_context(|| field.to_owned())?;
    Ok(template)
}

/// Where something given was not understood: a path such as `.spec.nodeSelectr`.
fn lost(given: &Value, understood: &Value) -> Option<String> {
    match (given, understood) {
        (Value::Object(given), Value::Object(understood)) => given.iter().find_map(|(name, value)| {
            let path = match understood.get(name) {
                Some(found) => lost(value, found),
                None => (!is_empty(value)).then(String::new),
            };
            path.map(|path| format!(".{name}{path}"))
        }),
        (Value::Array(given), Value::Array(understood)) => {
            let mut pairs = given.iter().zip(understood).enumerate();
            pairs.find_map(|(at, (given, found))| lost(given, found).map(|path| format!("[{at}]{path}")))
        }
        _ => None,
    }
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Object(fields) => fields.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Bool(_) | Value::Number(_) | Value::String(_) => false,
    }
}

/// What every worker depends on cannot be configured away.
fn check(template: &PodTemplateSpec) -> Result<()> {
    if let Some(metadata) = &template.metadata
        && (metadata.name.is_some() || metadata.generate_name.is_some() || metadata.namespace.is_some())
    {
        bail!("metadata: a worker's name and namespace cannot be set");
    }
    let Some(spec) = &template.spec else { return Ok(()) };
    if spec.restart_policy.is_some() {
        bail!("spec.restartPolicy: cannot be set; a worker runs its command once");
    }
    let containers = spec.containers.iter().chain(spec.init_containers.iter().flatten());
    for container in containers.filter(|container| [WORKER, INSTALL].contains(&container.name.as_str())) {
        check_own(container)?;
    }
    Ok(())
}

fn check_own(container: &Container) -> Result<()> {
    let name = &container.name;
    let fixed = [
        ("command", container.command.is_some()),
        ("args", container.args.is_some()),
        ("image", container.image.is_some()),
        ("terminationMessagePath", container.termination_message_path.is_some()),
        ("terminationMessagePolicy", container.termination_message_policy.is_some()),
    ];
    match fixed.into_iter().find(|(_, is_set)| *is_set) {
        Some((field, _)) => bail!("container {name}: {field} cannot be set here"),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(text: &str) -> String {
        format!("{:#}", Classes::parse(text).unwrap_err())
    }

    #[test]
    fn a_class_is_found_by_its_name_and_an_unknown_one_names_those_that_there_are() {
        let classes = Classes::parse(
            "podTemplate: {spec: {serviceAccountName: ci}}\n\
             resourceClasses:\n  root: {security: baseline}\n  small: {podTemplate: {spec: {nodeSelector: {a: b}}}}\n",
        )
        .unwrap();
        let (security, [common, _]) = classes.of(None).unwrap();
        assert_eq!(security, Security::Restricted);
        assert_eq!(common.spec.as_ref().unwrap().service_account_name.as_deref(), Some("ci"));
        assert_eq!(classes.of(Some("root")).unwrap().0, Security::Baseline);
        let error = classes.of(Some("huge")).unwrap_err();
        assert!(error.contains("\"huge\"") && error.contains("root, small"), "{error}");
    }

    #[test]
    fn p10_what_is_misspelt_or_not_to_be_set_is_refused_by_its_path() {
        for (text, expected) in [
            ("podTemplat: {}", "podTemplat"),
            ("podTemplate: {spec: {nodeSelectr: {a: b}}}", "podTemplate.spec.nodeSelectr"),
            (
                "resourceClasses: {a: {podTemplate: {spec: {containers: [{name: worker, resource: {limits: {cpu: 1}}}]}}}}",
                "resourceClasses.a.podTemplate.spec.containers[0].resource",
            ),
            ("resourceClasses: {a: {security: privileged}}", "privileged"),
            ("podTemplate: {spec: {restartPolicy: Always}}", "restartPolicy"),
            ("podTemplate: {metadata: {name: x}}", "name"),
            ("podTemplate: {spec: {containers: [{name: worker, command: [sh]}]}}", "command cannot be set"),
            ("podTemplate: 3", "no Pod template"),
        ] {
            let error = refused(text);
            assert!(error.contains(expected), "{text}: {error}");
        }
    }
}
