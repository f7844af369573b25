//! Resource classes: what the operator grants the containers of workers, read from the file that the kubernetes
//! runtime reads its Pod templates from, and checked at start.
//!
//! ```yaml
//! docker: { pids: 1024 }                          # for every worker; where nothing is said, 4096
//! resourceClasses:
//!   default:                                      # for workers whose event names none
//!     docker: { cpus: 2, memory: 2GiB }
//!   closed:
//!     docker: { readOnlyRoot: true }              # nothing but /tmp and volumes can be written
//!   root:
//!     security: baseline                          # for images that need what root may do in a container
//! ```
//!
//! What a class does not say, it has from what is for every worker. An event can name a class and cannot reach
//! beyond it.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result, bail};
use ottoscaler_kit::size::ByteSize;
use serde::Deserialize;
use serde::de::IgnoredAny;

use crate::runtime::security::Security;

/// The class of workers whose event names none.
const DEFAULT: &str = "default";

/// Processes and threads of a worker, where the operator says nothing: more than a build needs, and far less than a
/// machine has, which is everybody's on it.
const PIDS: i64 = 4096;

/// Docker starts nothing in less.
const LEAST_MEMORY: ByteSize = ByteSize::mib(6);

/// The configured classes.
#[derive(Clone, Debug, Default)]
pub struct Classes {
    common: Grant,
    classes: BTreeMap<String, Grant>,
}

/// What a worker is granted.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Grant {
    pub(super) security: Security,
    /// In billionths of a processor, as Docker counts.
    pub(super) nano_cpus: Option<i64>,
    pub(super) memory: Option<i64>,
    pub(super) pids: Option<i64>,
    pub(super) read_only_root: bool,
}

impl Default for Grant {
    fn default() -> Self {
        let security = Security::default();
        Self { security, nano_cpus: None, memory: None, pids: Some(PIDS), read_only_root: false }
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct File {
    #[serde(default)]
    docker: Limits,
    /// For the kubernetes runtime.
    #[serde(default, rename = "podTemplate")]
    _pod_template: IgnoredAny,
    #[serde(default)]
    resource_classes: BTreeMap<String, ClassFile>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct ClassFile {
    #[serde(default)]
    security: Security,
    #[serde(default)]
    docker: Limits,
    #[serde(default, rename = "podTemplate")]
    _pod_template: IgnoredAny,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Limits {
    cpus: Option<f64>,
    memory: Option<String>,
    pids: Option<i64>,
    read_only_root: Option<bool>,
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
        let common = Grant::default().with(&file.docker).context("docker")?;
        let mut classes = BTreeMap::new();
        for (name, class) in file.resource_classes {
            let own = Grant { security: class.security, ..common.clone() };
            let grant = own.with(&class.docker).with_context(|| format!("resourceClasses.{name}.docker"))?;
            classes.insert(name, grant);
        }
        Ok(Self { common, classes })
    }

    /// What workers of a class are granted.
    pub(super) fn of(&self, name: Option<&str>) -> Result<&Grant, String> {
        match name {
            Some(name) => self.classes.get(name).ok_or_else(|| self.no_such_class(name)),
            None => Ok(self.classes.get(DEFAULT).unwrap_or(&self.common)),
        }
    }

    /// Classes whose workers may use all memory of their machine, that of events which name none among them.
    pub(super) fn without_memory_limit(&self) -> Vec<&str> {
        let usual = (DEFAULT, self.classes.get(DEFAULT).unwrap_or(&self.common));
        let others = self.classes.iter().map(|(name, grant)| (name.as_str(), grant));
        let all = std::iter::once(usual).chain(others.filter(|(name, _)| *name != DEFAULT));
        all.filter(|(_, grant)| grant.memory.is_none()).map(|(name, _)| name).collect()
    }

    fn no_such_class(&self, name: &str) -> String {
        let known: Vec<_> = self.classes.keys().map(String::as_str).collect();
        let known = if known.is_empty() { "none is configured".to_owned() } else { known.join(", ") };
        format!("resource_class: there is no class {name:?}; there are: {known}")
    }
}

impl Grant {
    fn with(self, limits: &Limits) -> Result<Self> {
        Ok(Self {
            nano_cpus: limits.cpus.map(nano_cpus).transpose()?.or(self.nano_cpus),
            memory: limits.memory.as_deref().map(memory).transpose()?.or(self.memory),
            pids: limits.pids.map(pids).transpose()?.or(self.pids),
            read_only_root: limits.read_only_root.unwrap_or(self.read_only_root),
            security: self.security,
        })
    }
}

fn nano_cpus(cpus: f64) -> Result<i64> {
    if !(0.01..=4096.0).contains(&cpus) {
        bail!("cpus: expected processors, from 0.01 to 4096");
    }
    #[allow(clippy::cast_possible_truncation, reason = "within the bounds above")]
    Ok((cpus * 1e9).round() as i64)
}

fn memory(text: &str) -> Result<i64> {
    let hint = format!("memory: expected a size such as 512MiB, {LEAST_MEMORY} or more");
    let size: ByteSize = text.parse().map_err(|_| anyhow::anyhow!("{hint}"))?;
    if size < LEAST_MEMORY {
        bail!("{hint}");
    }
    i64::try_from(size.as_u64()).context(hint)
}

fn pids(pids: i64) -> Result<i64> {
    if pids < 1 {
        bail!("pids: expected processes and threads, 1 or more");
    }
    Ok(pids)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_class_has_what_it_says_and_else_what_is_for_every_worker() {
        let classes = Classes::parse(
            "docker: {pids: 99}\n\
             podTemplate: {spec: {serviceAccountName: ci}}\n\
             resourceClasses:\n  \
               default: {docker: {cpus: 1.5, memory: 1GiB}, podTemplate: {}}\n  \
               root: {security: baseline, docker: {pids: 5, readOnlyRoot: true}}\n",
        )
        .unwrap();
        let usual = classes.of(None).unwrap();
        let restricted = Security::Restricted;
        assert_eq!((usual.security, usual.pids, usual.memory), (restricted, Some(99), Some(1 << 30)));
        assert_eq!(usual.nano_cpus, Some(1_500_000_000));
        let root = classes.of(Some("root")).unwrap();
        assert_eq!((root.security, root.pids, root.memory), (Security::Baseline, Some(5), None));
        assert!(root.read_only_root && !usual.read_only_root);
        let error = classes.of(Some("huge")).unwrap_err();
        assert!(error.contains("\"huge\"") && error.contains("default, root"), "{error}");
        assert_eq!(Classes::default().of(None), Ok(&Grant::default()));
    }

    #[test]
    fn p6_no_worker_has_all_processes_of_its_machine() {
        for text in ["{}", "docker: {memory: 1GiB}", "resourceClasses: {default: {docker: {cpus: 1}}}"] {
            assert_eq!(Classes::parse(text).unwrap().of(None).unwrap().pids, Some(4096), "{text}");
        }
        assert_eq!(Classes::default().of(None).unwrap().pids, Some(4096));
        let more = Classes::parse("docker: {pids: 30000}").unwrap();
        assert_eq!(more.of(None).unwrap().pids, Some(30_000));
    }

    #[test]
    fn p6_classes_that_may_use_all_memory_of_the_machine_are_known() {
        let small = "resourceClasses: {small: {docker: {memory: 1GiB}}, root: {security: baseline}}";
        for (text, unlimited) in [
            ("{}", &["default"][..]),
            (small, &["default", "root"][..]),
            ("docker: {memory: 2GiB}\nresourceClasses: {default: {}, root: {}}", &[][..]),
            ("resourceClasses: {default: {docker: {memory: 1GiB}}, root: {}}", &["root"][..]),
        ] {
            assert_eq!(Classes::parse(text).unwrap().without_memory_limit(), unlimited, "{text}");
        }
    }

    #[test]
    fn p10_what_is_misspelt_or_cannot_be_is_refused_by_its_field() {
        for (text, expected) in [
            ("dockr: {}", "dockr"),
            ("docker: {cpu: 1}", "cpu"),
            ("docker: {cpus: 0}", "docker: cpus"),
            ("docker: {memory: 1MiB}", "docker: memory"),
            ("docker: {memory: lots}", "docker: memory"),
            ("resourceClasses: {a: {docker: {pids: 0}}}", "resourceClasses.a.docker: pids"),
            ("resourceClasses: {a: {security: privileged}}", "privileged"),
        ] {
            let error = format!("{:#}", Classes::parse(text).unwrap_err());
            assert!(error.contains(expected), "{text}: {error}");
        }
    }
}
