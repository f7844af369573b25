//! The names of a run, as every request carries them.

use std::fmt;
use std::str::FromStr;

use ottoscaler_kit::ident::{self, InvalidIdent};
use rand::Rng;
use serde::Serialize;

/// Names one run of one command.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct WorkerId(String);

/// Names the task that a run belongs to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct TaskId(String);

impl WorkerId {
    /// The host's name and a random part, so that a second run is a second worker.
    pub fn made_up() -> Self {
        Self(format!("{}-{:08x}", host(), rand::rng().random::<u32>()))
    }

    /// The host's name and a part of a digest of all that makes the log what it is: handed in again, it is the
    /// same worker's.
    pub fn of_digest(digest: &[u8; 32]) -> Self {
        let part = digest.first_chunk().copied().map_or(0, u64::from_be_bytes);
        Self(format!("{}-{part:016x}", host()))
    }

    /// As it goes over the wire.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Of this machine, where it has a usable one.
fn host() -> String {
    let host = nix::unistd::gethostname().ok().and_then(|name| name.into_string().ok());
    host.filter(|name| ident::check(name).is_ok()).unwrap_or_else(|| "worker".to_owned())
}

impl FromStr for WorkerId {
    type Err = InvalidIdent;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        ident::check(text).map(|()| Self(text.to_owned()))
    }
}

impl FromStr for TaskId {
    type Err = InvalidIdent;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        ident::check(text).map(|()| Self(text.to_owned()))
    }
}

impl From<WorkerId> for TaskId {
    /// A worker without a task is a task of its own.
    fn from(worker: WorkerId) -> Self {
        Self(worker.0)
    }
}

impl fmt::Display for WorkerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for TaskId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Tells a run apart from any other that uses the same worker id.
#[derive(Clone, Copy, Debug)]
pub struct Incarnation([u8; 16]);

impl Incarnation {
    /// Of this process; made once.
    pub fn random() -> Self {
        Self(rand::rng().random())
    }

    /// Of a file with this digest, whoever hands it in.
    pub fn of_digest(digest: &[u8; 32]) -> Self {
        let (first, _) = digest.split_first_chunk().expect("sixteen of 32 bytes");
        Self(*first)
    }

    /// As it goes over the wire.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}
