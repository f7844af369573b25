//! The spools of a directory, one after the other, within the time of one: what an agent left behind, for whoever
//! cannot look at what is there. One that cannot be handed in keeps nobody from the next.

use std::io;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use tokio::time::Instant;
use tracing::{error, info};

use super::upload_file;
use crate::EXIT_NOT_RUN;
use crate::config::Upload;

/// Hands each of them in. The first failure is told last; where somebody holds one, that is the answer, since
/// asking again may help.
pub(super) async fn upload(args: &Upload) -> Result<i32> {
    let deadline = Instant::now() + args.timeout;
    let path = args.file.display();
    let spools = of(&args.file).with_context(|| format!("cannot read {path}"))?;
    if spools.is_empty() {
        info!(%path, "no spool is there: nothing was left to hand in");
    }
    let (mut held, mut failed) = (false, None);
    for file in spools {
        let timeout = deadline.saturating_duration_since(Instant::now());
        match upload_file(&Upload { timeout, file, ..args.clone() }).await {
            Ok(0) => {}
            Ok(EXIT_NOT_RUN) => held = true,
            Ok(code) => failed = failed.or(Some(Ok(code))),
            Err(why) if failed.is_none() => failed = Some(Err(why)),
            Err(why) => error!("{why:#}"),
        }
    }
    if held { Ok(EXIT_NOT_RUN) } else { failed.unwrap_or(Ok(0)) }
}

/// In the order of their names.
fn of(dir: &Path) -> io::Result<Vec<PathBuf>> {
    let paths =
        dir.read_dir()?.map(|entry| entry.map(|entry| entry.path())).collect::<io::Result<Vec<_>>>()?;
    let is_spool = |path: &PathBuf| path.extension().is_some_and(|extension| extension == "spool");
    let mut spools: Vec<_> = paths.into_iter().filter(is_spool).collect();
    spools.sort();
    Ok(spools)
}
