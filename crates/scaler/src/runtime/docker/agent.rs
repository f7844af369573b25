//! The agent's volume: filled once for each version of the agent, and read only to every worker.
//!
//! Nothing of the host is needed for it, not even a path: the agent goes in through the archive that Docker makes
//! of a container's files, by a container that never runs. It comes out of the agent's image the same way, or from
//! a file beside the scaler. The volume's name tells the agent by its content, so another version is another
//! volume, and workers that run keep theirs.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use bollard::Docker;
use bollard::errors::Error;
use bollard::models::{ContainerSummary, VolumeCreateRequest};
use bollard::query_parameters::{
    ContainerArchiveInfoOptionsBuilder, CreateContainerOptionsBuilder, DownloadFromContainerOptionsBuilder,
    ListContainersOptionsBuilder, ListVolumesOptionsBuilder, RemoveContainerOptionsBuilder,
    RemoveVolumeOptions, UploadToContainerOptionsBuilder,
};
use futures::TryStreamExt;
use jiff::{SignedDuration, Timestamp};
use sha2::{Digest, Sha256};
use tokio::sync::Mutex;

use super::container::{self, AGENT_DIR};
use super::daemon::{CALL_LIMIT, WORK_LIMIT, found, within};
use super::image::Images;
use super::names::{self, Component};
use super::refusal::{Trouble, words};
use super::tar::Archive;

/// Where the agent is in its image.
const IN_IMAGE: &str = "/otto-agent";

/// No agent is larger, with all that a debugger wants to know.
const LARGEST: usize = 256 << 20;

/// Filling a volume takes far less; whoever began it so long ago is gone.
const LEFT_BEHIND: SignedDuration = SignedDuration::from_mins(10);

/// So much of a hash tells agents apart.
const HASH_DIGITS: usize = 16;

/// Where the agent comes from.
#[derive(Clone, Debug)]
pub enum AgentSource {
    /// An image that holds it.
    Image(String),
    /// A file beside the scaler.
    Binary(AgentBinary),
}

/// An agent that runs in any image.
#[derive(Clone, Debug)]
pub struct AgentBinary {
    path: PathBuf,
    hash: String,
    bytes: u64,
}

impl AgentBinary {
    /// Looks at a file. The error says what to change.
    pub fn open(path: &Path) -> Result<Self> {
        let hint = "--agent-binary (OTTO_AGENT_BINARY)";
        let shown = path.display();
        let program =
            std::fs::read(path).with_context(|| format!("cannot read the agent {shown}, named by {hint}"))?;
        if asks_for_libraries(&program) {
            bail!(
                "the agent {shown}, named by {hint}, needs libraries that images may not have; link it statically \
                 (RUSTFLAGS='-C target-feature=+crt-static'), or name an image by --agent-image (OTTO_AGENT_IMAGE)"
            );
        }
        let bytes = u64::try_from(program.len()).unwrap_or(u64::MAX);
        Ok(Self { path: path.to_owned(), hash: hex::encode(Sha256::digest(&program)), bytes })
    }
}

/// Whether a program names somebody who loads its libraries: a segment `PT_INTERP` of an ELF file of 64 bits.
fn asks_for_libraries(program: &[u8]) -> bool {
    const INTERPRETER: u32 = 3;
    let number = |at: usize, length: usize| {
        let bytes = program.get(at..at.checked_add(length)?)?;
        Some(bytes.iter().rev().fold(0_usize, |number, byte| number << 8 | usize::from(*byte)))
    };
    let segments = || {
        let (start, size, count) = (number(32, 8)?, number(54, 2)?, number(56, 2)?);
        let kinds = (0..count).map(move |segment| start.checked_add(segment * size));
        Some(kinds.map(|at| at.and_then(|at| number(at, 4)).and_then(|kind| u32::try_from(kind).ok())))
    };
    segments().is_some_and(|mut kinds| kinds.any(|kind| kind == Some(INTERPRETER)))
}

/// See the module.
#[derive(Debug)]
pub(super) struct Agent {
    docker: Docker,
    source: AgentSource,
    instance: String,
    /// The volume, once this scaler has seen to it.
    ready: Mutex<Option<String>>,
}

impl Agent {
    pub(super) fn new(docker: Docker, source: AgentSource, instance: String) -> Self {
        Self { docker, source, instance, ready: Mutex::default() }
    }

    /// Gives the volume, filled. Those that come while it is being filled wait for that; `image` is one that is
    /// there.
    pub(super) async fn ensure(&self, images: &Images, image: &str) -> Result<String, Trouble> {
        let mut ready = self.ready.lock().await;
        if let Some(volume) = &*ready {
            return Ok(volume.clone());
        }
        let (image, content) = match &self.source {
            AgentSource::Image(agent) => (agent.as_str(), images.ensure(agent).await?),
            AgentSource::Binary(binary) => (image, binary.hash.clone()),
        };
        let hash = content.trim_start_matches("sha256:");
        let volume = format!("{}-agent-{}", self.instance, &hash[..hash.len().min(HASH_DIGITS)]);
        let trouble = |error: Error| {
            Trouble::configuration(format!("cannot put the agent into volume {volume}: {}", words(&error)))
        };
        self.provide(image, &volume).await.map_err(trouble)?;
        self.sweep(&volume).await;
        tracing::info!(volume, "the agent is in its volume");
        *ready = Some(volume.clone());
        Ok(volume)
    }

    /// Somebody may have taken the volume away: it is looked at before it is used again.
    pub(super) async fn doubt(&self) {
        *self.ready.lock().await = None;
    }

    async fn provide(&self, image: &str, volume: &str) -> Result<(), Error> {
        let labels = names::labels(&self.instance, Component::Agent);
        let request = VolumeCreateRequest {
            name: Some(volume.to_owned()),
            labels: Some(labels),
            ..VolumeCreateRequest::default()
        };
        within(CALL_LIMIT, self.docker.create_volume(request)).await?;
        // A name of its own: another scaler may be about the same.
        let installer = format!("{volume}-install-{}", Timestamp::now().as_nanosecond());
        let body = container::installer(image, volume, &self.instance);
        let options = CreateContainerOptionsBuilder::default().name(&installer).build();
        within(WORK_LIMIT, self.docker.create_container(Some(options), body)).await?;
        let filled = self.fill(&installer).await;
        self.remove(&installer).await?;
        filled
    }

    /// A file that was written only in part is shorter, so its size tells whether it is whole.
    async fn fill(&self, installer: &str) -> Result<(), Error> {
        let there = self.size(installer, &format!("{AGENT_DIR}/otto-agent")).await?;
        let archive = match &self.source {
            AgentSource::Image(_) if there.is_some() && there == self.size(installer, IN_IMAGE).await? => {
                return Ok(());
            }
            AgentSource::Binary(binary) if there == Some(binary.bytes) => return Ok(()),
            AgentSource::Image(_) => {
                // Whole, before any of it goes in again: Docker does one thing at a time with a container.
                within(WORK_LIMIT, self.take_out(installer)).await?
            }
            AgentSource::Binary(binary) => {
                let program = tokio::fs::read(&binary.path).await?;
                Archive::default().file("otto-agent", 0o755, &program).finish()
            }
        };
        let archive = bollard::body_full(archive.into());
        let options = UploadToContainerOptionsBuilder::default().path(AGENT_DIR).build();
        within(WORK_LIMIT, self.docker.upload_to_container(installer, Some(options), archive)).await
    }

    async fn take_out(&self, installer: &str) -> Result<Vec<u8>, Error> {
        let options = DownloadFromContainerOptionsBuilder::default().path(IN_IMAGE).build();
        let mut parts = Box::pin(self.docker.download_from_container(installer, Some(options)));
        let mut archive = Vec::new();
        while let Some(part) = parts.try_next().await? {
            archive.extend_from_slice(&part);
            if archive.len() > LARGEST {
                return Err(std::io::Error::other(format!(
                    "{IN_IMAGE} of its image is no agent: it is too large"
                ))
                .into());
            }
        }
        Ok(archive)
    }

    async fn size(&self, container: &str, path: &str) -> Result<Option<u64>, Error> {
        let options = ContainerArchiveInfoOptionsBuilder::default().path(path).build();
        let info = self.docker.get_container_archive_info(container, Some(options));
        let info = found(within(CALL_LIMIT, info).await)?;
        Ok(info.and_then(|info| u64::try_from(info.size).ok()))
    }

    async fn remove(&self, container: &str) -> Result<(), Error> {
        let options = RemoveContainerOptionsBuilder::default().force(true).build();
        let removed = self.docker.remove_container(container, Some(options));
        found(within(WORK_LIMIT, removed).await).map(drop)
    }

    /// Containers that a scaler which was killed has left go, and volumes of other versions, unless workers use
    /// them; then a later scaler does that.
    async fn sweep(&self, current: &str) {
        let ours = names::filter(&self.instance, Component::Agent);
        let options = ListContainersOptionsBuilder::default().all(true).filters(&ours).build();
        let containers = within(CALL_LIMIT, self.docker.list_containers(Some(options))).await;
        let latest = Timestamp::now().as_second() - LEFT_BEHIND.as_secs();
        let is_left = |container: &ContainerSummary| container.created.is_some_and(|second| second < latest);
        for container in containers.into_iter().flatten().filter(is_left) {
            if let Err(error) = self.remove(container.id.as_deref().unwrap_or_default()).await {
                tracing::warn!(why = words(&error), "cannot remove what an earlier scaler has left");
            }
        }
        let options = ListVolumesOptionsBuilder::default().filters(&ours).build();
        let volumes = within(CALL_LIMIT, self.docker.list_volumes(Some(options))).await;
        for volume in volumes.into_iter().filter_map(|list| list.volumes).flatten() {
            if volume.name != current {
                let removed = self.docker.remove_volume(&volume.name, None::<RemoveVolumeOptions>);
                if within(CALL_LIMIT, removed).await.is_ok() {
                    tracing::info!(volume = volume.name, "removed the volume of another agent");
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_agent_that_needs_libraries_is_told_from_one_that_does_not() {
        // Every Rust test of this target is linked to a libc by itself.
        let test = std::fs::read(std::env::current_exe().unwrap()).unwrap();
        assert!(asks_for_libraries(&test));
        let error = format!("{:#}", AgentBinary::open(&std::env::current_exe().unwrap()).unwrap_err());
        assert!(error.contains("--agent-binary") && error.contains("crt-static"), "{error}");
        for other in [&b""[..], b"#!/bin/sh\n", &[0xff; 100]] {
            assert!(!asks_for_libraries(other));
        }
    }
}
