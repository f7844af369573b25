//! Hands in what an agent left behind, or any file, by UploadLogs.
//!
//! The server holds the upload back as it can store, and says at the end what it has. After a cut the upload
//! goes on behind what is durable, again and again, until its time is up; handed in twice, nothing is doubled.
//! Lines that a spool does not have become a gap. The file is opened once, a spool's lock taken once, and it is
//! left where it is. The lines of a plain file are masked as they are read; those of a spool were masked before.
//! Of a directory each spool is handed in, whatever becomes of the others.

mod source;
mod spools;

use std::io::ErrorKind;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context, Result, bail, ensure};
use bytes::Bytes;
use ottoscaler_proto::checksum::Checked;
use ottoscaler_proto::v1::log_streaming_service_client::LogStreamingServiceClient;
use ottoscaler_proto::v1::registration_response::Status;
use ottoscaler_proto::v1::{
    CompletionResponse, LogBatch, LoggingConfig, UploadSummary, WorkerCompletion, WorkerRegistration,
};
use tokio::time::{Instant, timeout_at};
use tokio_stream::Stream;
use tonic::transport::Channel;
use tonic::{Code, Request};
use tracing::{error, info, warn};

use crate::config::Upload;
use crate::ids::{Incarnation, TaskId, WorkerId};
use crate::ship;
use crate::ship::denial::{Denial, Denials};
use crate::ship::link::{self, CALL_TIMEOUT};
use crate::ship::link_error::LinkError;
use crate::ship::registration::{in_session, register, server_full};
use crate::ship::session;
use crate::{EXIT_CONFIG, EXIT_NOT_RUN};
use sha2::{Digest, Sha256};
use source::{Batches, Counts, NOT_SPOOLED, Origin, PlainFile, Reading};

/// What a spool has of itself: asked for all the same, it would be ignored.
const NOT_OF_A_SPOOL: [&str; 5] = ["--worker-id", "--task-id", "--max-line", "--mask-env", "--mask-file"];

/// What a server says of a log that had another end already: that one stands.
const CLOSED_BEFORE: &str = "the log was closed before";

/// What one attempt came to.
enum Attempt {
    Done(UploadSummary, Reading),
    /// Trying again may help.
    Cut(LinkError),
    /// It does not, once that was said often enough.
    Denied(Denial, String),
}

/// A file that is handed in, however many attempts that takes.
struct Handing<'a> {
    args: &'a Upload,
    run: WorkerRegistration,
    origin: Origin,
    /// What the server had when it was asked first.
    before: Option<u64>,
    deadline: Instant,
}

/// Hands the file in, or each spool of the directory, and gives the code to exit with.
pub async fn upload(args: &Upload) -> Result<i32> {
    if args.file.is_dir() { spools::upload(args).await } else { upload_file(args).await }
}

async fn upload_file(args: &Upload) -> Result<i32> {
    let path = args.file.as_path();
    let masks = match crate::masks(&args.masks) {
        Ok(masks) => masks,
        Err(unreadable) => {
            error!("{unreadable}");
            return Ok(EXIT_CONFIG);
        }
    };
    let origin = match Origin::open(path, masks) {
        Err(error) if error.kind() == ErrorKind::ResourceBusy => {
            error!(path = %path.display(), %error, "nothing was handed in");
            return Ok(EXIT_NOT_RUN);
        }
        origin => origin.with_context(|| format!("cannot read {}", path.display()))?,
    };
    let Some(origin) = origin else { return Ok(nothing_left(args)) };
    let ignored = args.given.among(&NOT_OF_A_SPOOL);
    if matches!(origin, Origin::Spool(_)) && !ignored.is_empty() {
        error!(
            "{} is a spool, and all of it stands there already: leave out {}",
            path.display(),
            ignored.join(" ")
        );
        return Ok(EXIT_CONFIG);
    }
    let run = run_of(args, &origin).with_context(|| format!("cannot read {}", path.display()))?;
    let deadline = Instant::now() + args.timeout;
    let mut handing = Handing { args, run, origin, before: None, deadline };
    let (summary, reading) = handing.hand_in().await?;
    handing.end(&summary, reading).await?;
    // Of the attempt that came to its end: what one refused that was cut off before, the log itself says.
    ensure!(summary.dropped == 0, "the server refused {} lines; gaps say where", summary.dropped);
    Ok(0)
}

/// Of a spool without a byte: not even whose it was stands there.
fn nothing_left(args: &Upload) -> i32 {
    let path = args.file.display();
    if args.exit_code.is_some() {
        error!("{path} is an empty spool, and does not say whose log --exit-code is to end: leave it out");
        return EXIT_CONFIG;
    }
    info!(%path, "the spool is empty: its agent left nothing to hand in");
    0
}

impl Handing<'_> {
    /// Ends the log, where its end is known, and says what was done.
    async fn end(&self, summary: &UploadSummary, reading: Reading) -> Result<()> {
        let Reading { error, end: written, counts } = reading;
        if let Some(error) = error {
            bail!("{}: {error}; what stands before it was handed in", self.args.file.display());
        }
        let ended = match end(self.args, &self.run, summary, written) {
            Some(completion) => Some(self.complete(completion).await),
            None => None,
        };
        self.tell(counts, summary, matches!(ended, Some(Ok(true))));
        if ended.is_none() {
            warn!(
                worker_id = self.run.worker_id,
                "the agent was killed before its command ended, so the log stays open; --exit-code ends it"
            );
        }
        ended.transpose().map(|_| ())
    }

    /// Whoever handed it in sees where it is, and what of it.
    fn tell(&self, counts: Counts, summary: &UploadSummary, complete: bool) {
        let WorkerRegistration { worker_id, task_id, .. } = &self.run;
        let refused = summary.dropped.max(0).cast_unsigned();
        let Counts { lines, duplicates, missing } = counts;
        let lines = lines.saturating_sub(refused);
        info!(worker_id, task_id, lines, duplicates, missing, refused, complete, "handed in");
        if missing > 0 {
            warn!(
                worker_id,
                lines = missing,
                reason = NOT_SPOOLED,
                "lines are lost; gaps in the log say where"
            );
        }
    }
}

/// Whose log it is.
fn run_of(args: &Upload, origin: &Origin) -> std::io::Result<WorkerRegistration> {
    let file = match origin {
        Origin::Spool(leftover) => return Ok(leftover.run().clone()),
        Origin::Plain(file) => file,
    };
    let (worker_id, incarnation) = identity(args, file)?;
    let task_id = args.task_id.clone().unwrap_or_else(|| TaskId::from(worker_id.clone()));
    Ok(WorkerRegistration {
        worker_id: worker_id.to_string(),
        task_id: task_id.to_string(),
        attempt: 1,
        incarnation: Bytes::copy_from_slice(incarnation.as_bytes()),
        server_endpoint: args.ingest_url.clone(),
        ..WorkerRegistration::default()
    })
}

/// The same for the same content, and for no other: so handing it in again goes on after what is there.
fn identity(args: &Upload, file: &PlainFile) -> std::io::Result<(WorkerId, Incarnation)> {
    let mut digest = Sha256::new();
    // What decides where lines are cut as well, and so which number each has.
    digest.update(args.max_line.as_u64().to_le_bytes());
    digest.update(file.digest()?);
    let digest_with = |name: &str| digest.clone().chain_update(name).finalize().into();
    let task = args.task_id.as_ref().map(ToString::to_string).unwrap_or_default();
    let made_up = || WorkerId::of_digest(&digest_with(&task));
    let worker_id = args.worker_id.clone().unwrap_or_else(made_up);
    let incarnation = Incarnation::of_digest(&digest_with(worker_id.as_str()));
    Ok((worker_id, incarnation))
}

impl Handing<'_> {
    /// Again and again, until the server has all of it.
    async fn hand_in(&mut self) -> Result<(UploadSummary, Reading)> {
        let (mut waits, mut denials) = (ship::waits(), Denials::default());
        let (deadline, limit) = (self.deadline, self.args.timeout);
        let mut obstacle = "it is still under way".to_owned();
        loop {
            let Ok(attempt) = timeout_at(deadline, self.attempt()).await else { break };
            match attempt? {
                Attempt::Done(summary, reading) => return Ok((summary, reading)),
                Attempt::Cut(error) => {
                    denials.is_believed(None, Instant::now());
                    warn!(worker_id = self.run.worker_id, %error, "cut off; trying again");
                    obstacle = error.to_string();
                }
                Attempt::Denied(denial, reason) => {
                    let is_believed = denials.is_believed(Some(denial), Instant::now());
                    ensure!(!is_believed, "the server refuses the upload: {reason}");
                    obstacle = reason;
                }
            }
            let wait = tokio::time::sleep(waits.next().unwrap_or(CALL_TIMEOUT));
            if timeout_at(deadline, wait).await.is_err() {
                break;
            }
        }
        bail!("the upload did not end within {limit:?}: {obstacle}")
    }

    /// From connecting to the server's summary.
    async fn attempt(&mut self) -> Result<Attempt> {
        let (mut client, objection) = match link::connect(&self.args.ingest_url).await {
            Ok(connected) => connected,
            Err(error) => return Ok(Attempt::Cut(error)),
        };
        let answer = match register(self.run.clone(), &mut client).await {
            Ok(answer) => answer,
            Err(error) => return Ok(Attempt::Cut(objection.explain(error))),
        };
        match answer.status() {
            Status::Success | Status::AlreadyRegistered => {}
            Status::ServerFull => return Ok(Attempt::Cut(LinkError::NotNow(server_full(&answer)))),
            Status::InvalidRequest => bail!("the server refuses this log: {}", answer.message),
        }
        let has = answer.last_sequence.max(0).cast_unsigned();
        let max_line = self.args.max_line.as_usize();
        if matches!(self.origin, Origin::Plain(_)) {
            fits(max_line, answer.config.as_ref())?;
        }
        // One of its own: what an attempt that was cut off still reads is no matter of this one's.
        let reading = Arc::default();
        let from = (*self.before.get_or_insert(has), has);
        let batches = Batches::new(&self.origin, &self.run.worker_id, from, max_line, Arc::clone(&reading));
        let batches = in_session(tokio_stream::iter(batches), &answer.session_id);
        stream(&mut client, batches, has, &reading).await
    }

    /// Ends the log. Whether it is whole.
    async fn complete(&self, completion: WorkerCompletion) -> Result<bool> {
        let mut waits = ship::waits();
        let answer = loop {
            let error = match self.ask_to_end(completion.clone()).await {
                Ok(answer) => break answer,
                Err(error) => error,
            };
            let wait = tokio::time::sleep(waits.next().unwrap_or(CALL_TIMEOUT));
            if is_lasting(&error) || timeout_at(self.deadline, wait).await.is_err() {
                return Err(error).context("the lines are stored, but the log was not ended");
            }
            warn!(worker_id = self.run.worker_id, %error, "the log is not ended yet; trying again");
        };
        ensure!(answer.complete || answer.missing.is_empty(), "the log is not whole: {}", answer.message);
        let said = &answer.message;
        ensure!(
            self.args.exit_code.is_none() || !said.starts_with(CLOSED_BEFORE),
            "--exit-code changes nothing: {said}"
        );
        if !answer.complete {
            warn!(worker_id = self.run.worker_id, said, "the log has ended, and is not whole");
        }
        Ok(answer.complete)
    }

    async fn ask_to_end(&self, completion: WorkerCompletion) -> Result<CompletionResponse, LinkError> {
        let call = async {
            let (mut client, _) = link::connect(&self.args.ingest_url).await?;
            let answer = client.complete_worker(completion.sealed()).await?;
            link::intact(answer.into_inner())
        };
        let by = self.deadline.min(Instant::now() + CALL_TIMEOUT);
        let late = |_| LinkError::NotNow("no answer to CompleteWorker in time".to_owned());
        timeout_at(by, call).await.map_err(late)?
    }
}

/// Where the server takes only shorter lines, cutting them to that would number all that follow anew: what a limit
/// that was changed meanwhile has numbered otherwise would be skipped, or be handed in twice.
fn fits(max_line: usize, config: Option<&LoggingConfig>) -> Result<()> {
    let longest = config.and_then(|config| usize::try_from(config.max_message_size).ok()).unwrap_or(0);
    ensure!(
        longest == 0 || max_line <= longest,
        "the server takes lines of {longest} bytes at the most: pass --max-line={longest}"
    );
    Ok(())
}

/// Whether the server would say the same of the end of a log again.
fn is_lasting(error: &LinkError) -> bool {
    let LinkError::Call(status) = error else { return false };
    matches!(status.code(), Code::InvalidArgument | Code::NotFound | Code::Unimplemented)
}

async fn stream(
    client: &mut LogStreamingServiceClient<Channel>,
    batches: Request<impl Stream<Item = LogBatch> + Send + 'static>,
    has: u64,
    reading: &Mutex<Reading>,
) -> Result<Attempt> {
    // Flow control is what bounds it: a batch is read when there is room to send it.
    match client.upload_logs(batches).await {
        Ok(summary) => {
            let mut summary = match link::intact(summary.into_inner()) {
                Ok(summary) => summary,
                Err(changed) => return Ok(Attempt::Cut(changed)),
            };
            summary.last_sequence = summary.last_sequence.max(has.cast_signed());
            let reading = std::mem::take(&mut *reading.lock().unwrap_or_else(PoisonError::into_inner));
            Ok(Attempt::Done(summary, reading))
        }
        Err(status) if matches!(status.code(), Code::InvalidArgument | Code::Unimplemented) => {
            Ok(Attempt::Denied(Denial::Upload(status.code()), status.message().to_owned()))
        }
        Err(status) if session::says_closed(status.message()) => {
            bail!("the log was closed meanwhile, and takes no more lines: {}", status.message())
        }
        Err(status) => Ok(Attempt::Cut(status.into())),
    }
}

/// How the log ends, if that is known.
fn end(
    args: &Upload,
    run: &WorkerRegistration,
    summary: &UploadSummary,
    written: Option<WorkerCompletion>,
) -> Option<WorkerCompletion> {
    let mut completion = written.or_else(|| {
        args.exit_code.map(|_| WorkerCompletion {
            worker_id: run.worker_id.clone(),
            last_sequence: summary.last_sequence,
            ..WorkerCompletion::default()
        })
    })?;
    if let Some(code) = args.exit_code {
        (completion.exit_code, completion.signal) = (code, 0);
    }
    Some(completion)
}
