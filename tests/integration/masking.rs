//! Secrets stay where they are: not on the wire, not in the store, not on the agent's own output.

use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ottoscaler_tests::ingest::Ingest;
use ottoscaler_tests::wiretap::Wiretap;
use ottoscaler_tests::{agent, port};

const TOKEN: &str = "tok/en+with=signs & \"quotes\"";
/// The token as it stands in a query, and inside of a JSON string.
const AS_URL: &str = "tok%2Fen%2Bwith%3Dsigns+%26+%22quotes%22";
const AS_JSON: &str = r#"tok/en+with=signs & \"quotes\""#;
const KEY: &str =
    "-----BEGIN KEY-----\nMIIEvQIBADANBgkqhkiG9w0BAQ\nEFAASCBKcwggSjAgEAAoIBA\n-----END KEY-----";
/// As long as some are that GitHub gives out: `base64` breaks it.
const LONG: &str =
    "github_pat_11ABCDEFG0aBcDeFgHiJkLmN_oPqRsTuVwXyZ0123456789AbCdEfGhIjKlMnOpQrStUvWxYz01234567";
const LATE: &str = "named-by-the-command";

/// Prints each secret in many ways, also cut between two writes.
const COMMAND: &str = r#"
printf 'plain %s\n' "$TOKEN"
printf '%s\n' "$KEY"
printf 'user:%s' "$TOKEN" | base64
printf '%s' "$TOKEN" | base64 >&2
printf 'oauth2:%s' "$LONG" | base64
printf 'x-access-token:%s' "$LONG" | base64 -w 64 >&2
half=$(printf '%s' "$TOKEN" | cut -c 1-9)
rest=$(printf '%s' "$TOKEN" | cut -c 10-)
printf 'cut %s' "$half"; sleep 0.2; printf '%s\n' "$rest"
printf 'url %s\njson "%s"\n' "$AS_URL" "$AS_JSON"
printf 'cut url %s' "${AS_URL%????}" >&2; sleep 0.2; printf '%s\n' "${AS_URL#"${AS_URL%????}"}" >&2
printf 'cut json "%s' "${AS_JSON%????}"; sleep 0.2; printf '%s"\n' "${AS_JSON#"${AS_JSON%????}"}"
printf '::add-mask::%s\n' named-by-the-command
printf 'late %s %s\n' named-by-the-command "$(printf named-by-the-command | base64)"
printf 'from a file: %s\n' value-in-a-file
printf 'the end\n'
"#;

fn forms(secret: &str) -> Vec<Vec<u8>> {
    let lines = secret.lines().map(|line| line.as_bytes().to_vec());
    let encoded = STANDARD.encode(secret).trim_end_matches('=').as_bytes()[..16].to_vec();
    let others = [AS_URL, AS_JSON].map(|form| form.as_bytes().to_vec());
    lines.chain([encoded]).chain(others).collect()
}

/// On both sides of the breaks of its base64.
fn around_breaks() -> Vec<Vec<u8>> {
    let encoded = |before: &str| STANDARD.encode(format!("{before}{LONG}")).into_bytes();
    let parts = |text: Vec<u8>, at: usize| [text[at - 16..at].to_vec(), text[at..at + 16].to_vec()];
    [parts(encoded("oauth2:"), 76), parts(encoded("x-access-token:"), 64)].concat()
}

fn assert_absent(place: &str, bytes: &[u8], secrets: &[&str]) {
    for form in secrets.iter().flat_map(|secret| forms(secret)).chain(around_breaks()) {
        let found = bytes.windows(form.len()).any(|window| window == form);
        assert!(!found, "{} is in {place}", String::from_utf8_lossy(&form));
    }
}

/// All bytes of all files below a directory.
fn everything(dir: &Path) -> Vec<u8> {
    let entries = std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
    let content = |path: std::path::PathBuf| {
        if path.is_dir() { everything(&path) } else { std::fs::read(&path).unwrap() }
    };
    entries.flat_map(content).collect()
}

#[tokio::test]
async fn secrets_are_neither_on_the_wire_nor_in_the_store_nor_on_the_agents_own_output() {
    let dir = tempfile::tempdir().unwrap();
    let ingest = Ingest::start(&dir.path().join("data"), &[]).await;
    let wire = Wiretap::start(ingest.grpc()).await;
    let file = dir.path().join("masked");
    std::fs::write(&file, "value-in-a-file\n").unwrap();

    let mut command = agent::command(&wire.url(), "masked");
    command
        .env("TOKEN", TOKEN)
        .env("KEY", KEY)
        .env("LONG", LONG)
        .env("AS_URL", AS_URL)
        .env("AS_JSON", AS_JSON)
        .env("OTTO_MASK_ENV", "TOKEN,KEY,LONG,NOT_SET");
    command.arg("--mask-file").arg(&file).args(["--", "sh", "-c", COMMAND]);
    let output = agent::output(command).await;
    assert!(output.status.success(), "{output:?}");

    let shown = ingest.get("/api/v1/workers/masked/log.txt").await.unwrap();
    let text = String::from_utf8_lossy(&shown).into_owned();
    let in_other_forms = ["url ***", "json \"***\"", "cut url ***", "cut json \"***\""];
    let plain = ["plain ***", "cut ***", "::add-mask::***", "from a file: ***", "the end"];
    for expected in plain.into_iter().chain(in_other_forms) {
        assert!(text.lines().any(|line| line == expected), "no {expected:?} in {text}");
    }
    assert!(text.lines().any(|line| line.starts_with("late *** ***")), "{text}");

    let secrets = [TOKEN, KEY, LONG, LATE, "value-in-a-file"];
    assert_absent("what is shown", &shown, &secrets);
    assert_absent("the store", &everything(&dir.path().join("data")), &secrets);
    assert_absent("the wire", &wire.heard(), &secrets);
    assert_absent("stdout", &output.stdout, &secrets);
    assert_absent("stderr", &output.stderr, &secrets);
    assert!(wire.heard().windows(7).any(|window| window == b"the end"), "the wire was looked at");
}

/// Nobody takes the lines, so all of them are left there.
#[tokio::test]
async fn secrets_are_not_in_the_spool() {
    let dir = tempfile::tempdir().unwrap();
    let (spool, file) = (dir.path().join("spool"), dir.path().join("masked"));
    std::fs::write(&file, "value-in-a-file\n").unwrap();
    let mut command = agent::command(&format!("http://{}", port::free()), "unheard");
    command
        .env("TOKEN", TOKEN)
        .env("KEY", KEY)
        .env("LONG", LONG)
        .env("AS_URL", AS_URL)
        .env("AS_JSON", AS_JSON)
        .env("OTTO_MASK_ENV", "TOKEN,KEY,LONG");
    command.arg("--mask-file").arg(&file).args(["--flush-timeout", "100ms", "--spool-dir"]).arg(&spool);
    command.args(["--", "sh", "-c", COMMAND]);
    let output = agent::output(command).await;
    assert!(output.status.success(), "{output:?}");
    let spooled = everything(&spool);
    assert_absent("the spool", &spooled, &[TOKEN, KEY, LONG, LATE, "value-in-a-file"]);
    assert!(spooled.windows(7).any(|window| window == b"the end"), "the spool was looked at");
}

#[tokio::test]
async fn a_command_that_cannot_be_run_does_not_tell_the_secrets_in_its_name() {
    let dir = tempfile::tempdir().unwrap();
    let ingest = Ingest::start(dir.path(), &[]).await;
    let summary = dir.path().join("summary.json");
    let mut command = agent::command(&ingest.url(), "unrunnable");
    command.env("TOKEN", LATE).args(["--mask-env", "TOKEN", "--summary"]).arg(&summary);
    command.args(["--", &format!("/nowhere/{LATE}")]);
    let output = agent::output(command).await;
    assert_eq!(output.status.code(), Some(127));
    assert_absent("the summary", &std::fs::read(&summary).unwrap(), &[LATE]);
    assert_absent("stderr", &output.stderr, &[LATE]);
    assert_absent("the store", &everything(dir.path()), &[LATE]);
}

#[tokio::test]
async fn nothing_is_run_when_the_values_to_mask_cannot_be_read() {
    let dir = tempfile::tempdir().unwrap();
    let proof = dir.path().join("it-ran");
    let mut command = agent::command("http://127.0.0.1:9", "unreadable");
    command.args(["--mask-file", "/nowhere/masks", "--", "touch"]).arg(&proof);
    let output = agent::output(command).await;
    assert_eq!(output.status.code(), Some(64));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("OTTO_MASK_FILE") && said.contains("/nowhere/masks"), "{said}");
    assert!(!proof.exists());
}
