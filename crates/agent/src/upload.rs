//! Hands in what an agent left behind, or any file, by UploadLogs.
//!
//! The server holds the upload back as it can store, and says at the end what it has. After a cut the upload
//! goes on behind what is durable, again and again, until its time is up; handed in twice, nothing is doubled.
//! Lines that a spool does not have become a gap. A spool is left where it is.

mod source;

use std::fs::File;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context, Result, bail, ensure};
use bytes::Bytes;
use ottoscaler_proto::checksum::Checked;
use ottoscaler_proto::v1::log_streaming_service_client::LogStreamingServiceClient;
use ottoscaler_proto::v1::registration_response::Status;
use ottoscaler_proto::v1::{LogBatch, UploadSummary, WorkerCompletion, WorkerRegistration};
use tokio::time::{Instant, timeout_at};
use tonic::Code;
use tonic::transport::Channel;
use tracing::{info, warn};

use crate::config::Upload;
use crate::ids::{Incarnation, TaskId, WorkerId};
use crate::ship;
use crate::ship::link::{self, CALL_TIMEOUT, LinkError};
use crate::ship::registration::register;
use crate::ship::session;
use crate::spool::leftover::Leftover;
use source::{Batches, Reading};

/// What one attempt came to.
enum Attempt {
    Done(UploadSummary),
    /// Trying again may help.
    Cut(LinkError),
    /// It does not, once that was said often enough.
    Denied(String),
}

/// Hands the file in, and gives the code to exit with.
pub async fn upload(args: &Upload) -> Result<i32> {
    let path = args.file.as_path();
    let run = run_of(args).with_context(|| format!("cannot read {}", path.display()))?;
    let deadline = Instant::now() + args.timeout;
    let reading = Arc::new(Mutex::new(Reading::default()));
    let summary = hand_in(args, &run, &reading, deadline).await?;
    let reading = std::mem::take(&mut *reading.lock().unwrap_or_else(PoisonError::into_inner));
    info!(worker_id = run.worker_id, lines = summary.lines, duplicates = summary.duplicates, "handed in");
    if let Some(error) = reading.error {
        bail!("{}: {error}; what stands before it was handed in", path.display());
    }
    ensure!(summary.dropped == 0, "the server refused {} lines; gaps say where", summary.dropped);
    if let Some(completion) = end(args, &run, &summary, reading.end) {
        complete(args, completion, deadline).await?;
    } else {
        let worker_id = run.worker_id;
        warn!(
            worker_id,
            "the agent was killed before its command ended, so the log stays open; --exit-code ends it"
        );
    }
    Ok(0)
}

/// Whose log it is.
fn run_of(args: &Upload) -> std::io::Result<WorkerRegistration> {
    if Leftover::is_one(&File::open(&args.file)?)? {
        return Ok(Leftover::open(&args.file)?.run().clone());
    }
    let worker_id = args.worker_id.clone().unwrap_or_else(WorkerId::made_up);
    let task_id = args.task_id.clone().unwrap_or_else(|| TaskId::from(worker_id.clone()));
    Ok(WorkerRegistration {
        worker_id: worker_id.to_string(),
        task_id: task_id.to_string(),
        attempt: 1,
        incarnation: Bytes::copy_from_slice(Incarnation::random().as_bytes()),
        server_endpoint: args.ingest_url.clone(),
        ..WorkerRegistration::default()
    })
}

async fn hand_in(
    args: &Upload,
    run: &WorkerRegistration,
    reading: &Arc<Mutex<Reading>>,
    deadline: Instant,
) -> Result<UploadSummary> {
    let (mut waits, mut denials) = (ship::waits(), 0);
    loop {
        let attempt = timeout_at(deadline, attempt(args, run, reading)).await;
        let late = || format!("the upload did not end within {:?}", args.timeout);
        match attempt.with_context(late)?? {
            Attempt::Done(summary) => return Ok(summary),
            Attempt::Cut(error) => {
                denials = 0;
                warn!(worker_id = run.worker_id, %error, "cut off; trying again");
            }
            Attempt::Denied(reason) => {
                denials += 1;
                ensure!(denials < ship::BELIEVED, "the server refuses the upload: {reason}");
            }
        }
        let wait = waits.next().unwrap_or(CALL_TIMEOUT);
        timeout_at(deadline, tokio::time::sleep(wait)).await.with_context(late)?;
    }
}

/// From connecting to the server's summary.
async fn attempt(args: &Upload, run: &WorkerRegistration, reading: &Arc<Mutex<Reading>>) -> Result<Attempt> {
    let mut client = match link::connect(&args.ingest_url).await {
        Ok(client) => client,
        Err(error) => return Ok(Attempt::Cut(error)),
    };
    let answer = match register(run.clone(), &mut client).await {
        Ok(answer) => answer,
        Err(error) => return Ok(Attempt::Cut(error)),
    };
    match answer.status() {
        Status::Success | Status::AlreadyRegistered => {}
        Status::ServerFull => return Ok(Attempt::Cut(LinkError::NotNow(answer.message))),
        Status::InvalidRequest => bail!("the server refuses this log: {}", answer.message),
    }
    let has = answer.last_sequence.max(0).cast_unsigned();
    let max_message = answer.config.map_or(0, |config| config.max_message_size);
    let longest = usize::try_from(max_message).ok().filter(|&size| size > 0).unwrap_or(usize::MAX);
    let batches = open(args, run, has, longest.min(args.max_line.as_usize()), reading)?;
    stream(&mut client, batches, has).await
}

/// What there is behind the sequence that the server has.
fn open(
    args: &Upload,
    run: &WorkerRegistration,
    has: u64,
    max_line: usize,
    reading: &Arc<Mutex<Reading>>,
) -> Result<Batches> {
    let opened = Batches::open(&args.file, &run.worker_id, has, max_line, Arc::clone(reading));
    opened.with_context(|| format!("cannot read {}", Path::display(&args.file)))
}

async fn stream(
    client: &mut LogStreamingServiceClient<Channel>,
    batches: impl Iterator<Item = LogBatch> + Send + 'static,
    has: u64,
) -> Result<Attempt> {
    // Flow control is what bounds it: a batch is read when there is room to send it.
    match client.upload_logs(tokio_stream::iter(batches)).await {
        Ok(summary) => {
            let mut summary = match link::intact(summary.into_inner()) {
                Ok(summary) => summary,
                Err(changed) => return Ok(Attempt::Cut(changed)),
            };
            summary.last_sequence = summary.last_sequence.max(has.cast_signed());
            Ok(Attempt::Done(summary))
        }
        Err(status) if matches!(status.code(), Code::InvalidArgument | Code::Unimplemented) => {
            Ok(Attempt::Denied(status.message().to_owned()))
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

async fn complete(args: &Upload, completion: WorkerCompletion, deadline: Instant) -> Result<()> {
    let call = async {
        let mut client = link::connect(&args.ingest_url).await?;
        let answer = client.complete_worker(completion.sealed()).await?;
        link::intact(answer.into_inner())
    };
    let answered = timeout_at(deadline.min(Instant::now() + CALL_TIMEOUT), call).await;
    let answer = answered.context("the lines are stored, but the log was not ended: no answer")?;
    let answer = answer.context("the lines are stored, but the log was not ended")?;
    ensure!(answer.complete || answer.missing.is_empty(), "the log is not whole: {}", answer.message);
    Ok(())
}
