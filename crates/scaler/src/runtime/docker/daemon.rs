//! The connection to Docker: found by an address, agreed on a version of its API, every call with a time limit.

use std::time::Duration;

use anyhow::{Context, Result, bail};
use bollard::errors::Error;
use bollard::{ClientVersion, Docker};

/// What Docker answers from memory.
pub(super) const CALL_LIMIT: Duration = Duration::from_secs(10);

/// What Docker does on the disk first: it makes, starts or removes a container, or unpacks files.
pub(super) const WORK_LIMIT: Duration = Duration::from_mins(1);

/// That of Docker 19.03. The volumes and limits that are used here are older still.
const OLDEST: ClientVersion = ClientVersion { major_version: 1, minor_version: 40 };

/// A Docker that answers.
#[derive(Clone, Debug)]
pub struct Daemon {
    pub(super) docker: Docker,
    /// What no other Docker calls itself.
    pub(super) id: String,
}

impl Daemon {
    /// Connects by an address such as `unix:///var/run/docker.sock`. The error says what to change.
    pub async fn connect(host: &str) -> Result<Self> {
        let hint = "--docker-host (DOCKER_HOST)";
        let docker = Docker::connect_with_host(host)
            .with_context(|| format!("cannot use the Docker at {host}, named by {hint}"))?;
        let docker = within(CALL_LIMIT, docker.negotiate_version())
            .await
            .with_context(|| format!("the Docker at {host}, named by {hint}, does not answer"))?;
        let version = docker.client_version();
        if version < OLDEST {
            bail!(
                "the Docker at {host}, named by {hint}, is too old: its API is {version}, and {OLDEST} is needed"
            );
        }
        let info = within(CALL_LIMIT, docker.info())
            .await
            .with_context(|| format!("the Docker at {host}, named by {hint}, does not say what it is"))?;
        tracing::info!(host, api = %version, server = info.server_version, "docker answers");
        Ok(Self { docker, id: info.id.unwrap_or_else(|| host.to_owned()) })
    }
}

/// A call that takes longer has failed.
pub(super) async fn within<T>(
    limit: Duration,
    call: impl Future<Output = Result<T, Error>>,
) -> Result<T, Error> {
    tokio::time::timeout(limit, call).await.unwrap_or(Err(Error::RequestTimeoutError))
}

/// Whether there was something: that there is nothing is no failure.
pub(super) fn found<T>(answer: Result<T, Error>) -> Result<Option<T>, Error> {
    match answer {
        Ok(found) => Ok(Some(found)),
        Err(error) if super::refusal::is_absent(&error) => Ok(None),
        Err(error) => Err(error),
    }
}
