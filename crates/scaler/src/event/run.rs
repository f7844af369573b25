//! What a worker runs: command, arguments, environment, image.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::error::Category;

use super::Rejection;
use super::fields::{Fields, Given};

/// Variables with this prefix configure the agent and tell the command about itself.
const RESERVED_PREFIX: &str = "OTTO_";

/// Those of them that an event may set: variables whose values the agent masks, and whether it takes the stop signals of
/// images for SIGTERM.
const SETTABLE: [&str; 2] = ["OTTO_MASK_ENV", "OTTO_IMAGE_STOP_SIGNALS"];

/// A program and its arguments; never empty.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Vec<String>", into = "Vec<String>")]
pub struct CommandLine(Vec<String>);

impl CommandLine {
    /// Program first.
    pub fn words(&self) -> &[String] {
        &self.0
    }

    fn with(mut self, args: Vec<String>) -> Result<Self, InvalidCommand> {
        self.0.extend(args);
        Self::try_from(self.0)
    }
}

/// Why text is no command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InvalidCommand(String);

impl fmt::Display for InvalidCommand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for InvalidCommand {}

impl TryFrom<Vec<String>> for CommandLine {
    type Error = InvalidCommand;

    fn try_from(words: Vec<String>) -> Result<Self, InvalidCommand> {
        if words.first().is_none_or(String::is_empty) {
            return Err(InvalidCommand("must name a program".to_owned()));
        }
        if words.iter().any(|word| word.contains('\0')) {
            return Err(InvalidCommand("must not contain a NUL character".to_owned()));
        }
        Ok(Self(words))
    }
}

impl From<CommandLine> for Vec<String> {
    fn from(command: CommandLine) -> Self {
        command.0
    }
}

impl FromStr for CommandLine {
    type Err = InvalidCommand;

    /// A JSON array of strings, or a plain string for `sh -c`. The last word of the plain form is
    /// `$0`, so that arguments behind it are `$1`, `$2`, ….
    fn from_str(text: &str) -> Result<Self, InvalidCommand> {
        // A shell runs nothing, and says that it went well.
        if text.trim().is_empty() {
            return Err(InvalidCommand("must not be empty".to_owned()));
        }
        if !text.starts_with('[') {
            return Self::try_from(["sh", "-c", text, "sh"].map(str::to_owned).to_vec());
        }
        let words: Vec<String> = serde_json::from_str(text).map_err(|error| {
            InvalidCommand(format!(
                "starts with [ and is no JSON array of strings: {}; a shell command may start with a space",
                not_json(&error)
            ))
        })?;
        Self::try_from(words)
    }
}

/// What to run, with everything that the event left open already decided.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Run {
    /// The image, for runtimes that have images.
    pub image: Option<String>,
    /// Program and arguments.
    pub command: CommandLine,
    /// Variables of the command's environment.
    pub env: BTreeMap<String, String>,
    /// Variable → `secret-name/key`, for runtimes that have secrets.
    pub secret_env: BTreeMap<String, String>,
    /// The name of a configured set of requests and limits.
    pub resource_class: Option<String>,
}

/// What runs where an event does not say.
#[derive(Clone, Debug, Default)]
pub struct RunDefaults {
    /// `--worker-image`.
    pub image: Option<String>,
    /// `--worker-command`.
    pub command: Option<CommandLine>,
}

impl Run {
    pub(super) fn parse(fields: &mut Fields, defaults: &RunDefaults) -> Result<Self, Rejection> {
        let image = fields.text("image")?.or_else(|| defaults.image.clone());
        let command = command(fields, defaults)?;
        let env = variables(fields.take(&["env"])?, &SETTABLE)?;
        let secrets = fields.take(&["secret_env"])?;
        let secret_env = variables(secrets.clone(), &[])?;
        if let Some(given) = secrets {
            check_secrets(&given, &secret_env, &env)?;
        }
        Ok(Self { image, command, env, secret_env, resource_class: fields.text("resource_class")? })
    }
}

fn command(fields: &mut Fields, defaults: &RunDefaults) -> Result<CommandLine, Rejection> {
    let command = match fields.parse(&["command"])? {
        Some(command) => command,
        None => defaults.command.clone().ok_or_else(|| {
            Rejection::new(
                "command",
                "the event names no command, and no default is configured: set --worker-command (OTTO_WORKER_COMMAND)",
            )
        })?,
    };
    let Some(given) = fields.take(&["args"])? else { return Ok(command) };
    let args = serde_json::from_str(&given.value)
        .map_err(|error| given.reject(format!("expected a JSON array of strings: {}", not_json(&error))))?;
    command.with(args).map_err(|error| given.reject(error))
}

/// serde's words, but where they would show the value: it may be a secret, and reasons are logged and listed.
fn not_json(error: &serde_json::Error) -> String {
    match error.classify() {
        Category::Data => {
            format!("a value of another kind at line {} column {}", error.line(), error.column())
        }
        Category::Io | Category::Syntax | Category::Eof => error.to_string(),
    }
}

/// Of the reserved names none but those of `allowed`.
fn variables(given: Option<Given>, allowed: &[&str]) -> Result<BTreeMap<String, String>, Rejection> {
    let Some(given) = given else { return Ok(BTreeMap::new()) };
    let object: BTreeMap<String, Value> = serde_json::from_str(&given.value)
        .map_err(|error| given.reject(format!("expected a JSON object of strings: {}", not_json(&error))))?;
    object.into_iter().map(|(name, value)| variable(&given, allowed, name, value)).collect()
}

fn variable(
    given: &Given,
    allowed: &[&str],
    name: String,
    value: Value,
) -> Result<(String, String), Rejection> {
    let mut bytes = name.bytes();
    let starts_well = bytes.next().is_some_and(|b| b.is_ascii_alphabetic() || b == b'_');
    if !starts_well || !bytes.all(|b| b.is_ascii_alphanumeric() || b == b'_') {
        return Err(given.reject(format!("{name:?} is no name of an environment variable")));
    }
    if name.starts_with(RESERVED_PREFIX) && !allowed.contains(&&*name) {
        return Err(given.reject(format!("{name}: names that start with {RESERVED_PREFIX} are reserved")));
    }
    let value = match value {
        Value::String(text) => text,
        Value::Bool(_) | Value::Number(_) => value.to_string(),
        Value::Null | Value::Array(_) | Value::Object(_) => {
            return Err(given.reject(format!("{name} must be a string, a number or a boolean")));
        }
    };
    if value.contains('\0') {
        return Err(given.reject(format!("{name} must not contain a NUL character")));
    }
    Ok((name, value))
}

fn check_secrets(
    given: &Given,
    secrets: &BTreeMap<String, String>,
    env: &BTreeMap<String, String>,
) -> Result<(), Rejection> {
    for (name, source) in secrets {
        let halves = source.split_once('/').filter(|(secret, key)| !secret.is_empty() && !key.is_empty());
        if halves.is_none() {
            return Err(given.reject(format!("{name} must name its source as secret-name/key")));
        }
        if env.contains_key(name) {
            return Err(given.reject(format!("{name} is set in env as well")));
        }
    }
    Ok(())
}
