//! What a killed agent left in its spool: `otto-agent upload` hands it in before the log is closed.
//!
//! Within the time that an agent itself would have for it. What the upload says goes into the worker's
//! `agent.log`, and its last word of what went wrong into the log's closing marker. A scaler that is killed
//! leaves its upload running; its successor meets that one's lock on the spool, and asks again.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use super::dir::WorkerDir;
use super::{ProcessRuntime, blocking};
use crate::ids::WorkerId;
use crate::runtime::HandedIn;
use crate::runtime::upload::{HELD, MARGIN, SAID_BYTES, messages};

impl ProcessRuntime {
    pub(super) async fn try_hand_in(&self, id: &WorkerId) -> io::Result<HandedIn> {
        let dir = self.dir(id);
        let spools = blocking({
            let dir = dir.clone();
            move || spools(&dir)
        })
        .await?;
        let mut handed_in = HandedIn::Nothing;
        for spool in spools {
            handed_in = match (self.upload(&dir, &spool).await?, handed_in) {
                (None, HandedIn::NotAll(reason)) | (Some(reason), _) => HandedIn::NotAll(reason),
                (None, HandedIn::Nothing | HandedIn::All) => HandedIn::All,
            };
        }
        Ok(handed_in)
    }

    /// Gives what went wrong. An error where another upload is at it.
    async fn upload(&self, dir: &WorkerDir, spool: &Path) -> io::Result<Option<String>> {
        let log = OpenOptions::new().create(true).append(true).open(dir.agent_log())?;
        let before = log.metadata()?.len();
        let mut child = self.0.agent.upload(spool, log)?;
        let limit = self.0.agent.drain_timeout + MARGIN;
        let Ok(status) = tokio::time::timeout(limit, child.wait()).await else {
            return Ok(Some(format!("the upload did not end within {limit:?}")));
        };
        match status? {
            status if status.success() => Ok(None),
            status if status.code() == Some(HELD) => {
                Err(io::Error::new(io::ErrorKind::ResourceBusy, "another upload holds its spool"))
            }
            status => {
                let log = dir.agent_log();
                let said = blocking(move || last_words(&log, before)).await.unwrap_or_default();
                // Where it lies is nothing to those who read the log.
                let said = said.map(|said| said.replace(&spool.display().to_string(), "it"));
                Ok(Some(said.unwrap_or_else(|| format!("the upload ended with {status}"))))
            }
        }
    }
}

fn spools(dir: &WorkerDir) -> io::Result<Vec<PathBuf>> {
    let entries = match fs::read_dir(dir.spool()) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let paths = entries.map(|entry| entry.map(|entry| entry.path())).collect::<io::Result<Vec<_>>>()?;
    Ok(paths.into_iter().filter(|path| path.extension().is_some_and(|name| name == "spool")).collect())
}

/// The last message in a log behind the first `before` bytes.
fn last_words(log: &Path, before: u64) -> io::Result<Option<String>> {
    let mut file = File::open(log)?;
    let length = file.metadata()?.len();
    file.seek(SeekFrom::Start(before.max(length.saturating_sub(SAID_BYTES as u64))))?;
    let mut said = Vec::new();
    file.take(SAID_BYTES as u64).read_to_end(&mut said)?;
    Ok(messages(&said).next())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_words_are_those_of_this_upload_alone() {
        let dir = tempfile::tempdir().unwrap();
        let log = dir.path().join("agent.log");
        let before = b"{\"level\":\"ERROR\",\"message\":\"of another\"}\n";
        fs::write(&log, before).unwrap();
        assert_eq!(last_words(&log, before.len() as u64).unwrap(), None);
        let text = [&before[..], b"{\"message\":\"first\"}\n{\"message\":\"last\"}\nno json\n"].concat();
        fs::write(&log, text).unwrap();
        assert_eq!(last_words(&log, before.len() as u64).unwrap().as_deref(), Some("last"));
    }
}
