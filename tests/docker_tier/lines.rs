//! Every line, both streams, and the exit code, out of images of each kind.

use std::sync::Arc;

use ottoscaler_tests::oracle;
use ottoscaler_tests::worker_images::{BARE, MUSL, PROGRAM, printed};
use serde_json::json;

use crate::world::{Grounds, Site};

const LINES: u32 = 500;
const CODE: i32 = 3;

/// Runs a command in an image, and compares what its readers get with what it has printed.
async fn read_back(site: &Site, task: &str, more: &[(&str, &str)]) {
    site.submit(task, 1, more).await;
    let (worker, ended) = site.ended(task).await;
    assert_eq!((&*ended["state"], &*ended["class"]), ("failed", "user"), "{ended:?}");
    assert_eq!(ended["exit_code"], CODE.to_string());
    let shown = site.grounds.ingest.completed(task, &worker).await;
    assert_eq!((&shown["exit_code"], &shown["lost"]), (&json!(CODE), &json!(0)), "{shown}");
    let lines = site.grounds.ingest.lines(&worker).await.unwrap();
    oracle::check_sequences(&worker, &lines);
    let (out, err) = printed(LINES);
    assert_eq!(String::from_utf8(oracle::bytes(&lines, "stdout")).unwrap(), out);
    assert_eq!(String::from_utf8(oracle::bytes(&lines, "stderr")).unwrap(), err);
    site.is_gone(Some(&worker)).await;
}

/// Prints what the program of the other images does.
fn script() -> String {
    format!(
        "i=0; while [ $i -lt {LINES} ]; do echo out $i; [ $((i % 7)) = 0 ] && echo err $i >&2; i=$((i + 1)); done; \
         printf 'no newline'; exit {CODE}"
    )
}

pub(crate) async fn a_shell_of_busybox_is_read_back_line_by_line(site: Arc<Site>) {
    read_back(&site, "busybox", &[("command", &script())]).await;
}

pub(crate) async fn an_image_without_a_shell_is_read_back_line_by_line(site: Arc<Site>) {
    let command = json!([PROGRAM, LINES.to_string(), CODE.to_string()]).to_string();
    read_back(&site, "bare", &[("image", BARE), ("command", &command)]).await;
}

pub(crate) async fn an_image_with_another_libc_is_read_back_line_by_line(site: Arc<Site>) {
    let command = json!([PROGRAM, LINES.to_string(), CODE.to_string()]).to_string();
    read_back(&site, "musl", &[("image", MUSL), ("command", &command)]).await;
}

/// The agent runs as whoever the image says, and has to write beside the command.
pub(crate) async fn an_image_whose_user_is_nobody_is_read_back_line_by_line(site: Arc<Site>) {
    read_back(&site, "nobody", &[("image", "nobody:test"), ("command", &script())]).await;
}

pub(crate) async fn an_agent_that_is_a_file_beside_the_scaler_will_do(grounds: Arc<Grounds>) {
    let agent = ottoscaler_tests::binary::static_agent();
    let agent = format!("--agent-binary={}", agent.display());
    let site = Site::start(&grounds, &["--agent-image=none:none", &agent]).await;
    read_back(&site, "binary", &[("command", &script())]).await;
}
