//! What one look through a log tells, and searches in it, of logs that real agents sent.

use std::collections::BTreeSet;

use ottoscaler_tests::agent;
use ottoscaler_tests::ingest::Ingest;
use ottoscaler_tests::wait;
use serde_json::{Value, json};

async fn ingest() -> (tempfile::TempDir, Ingest) {
    let dir = tempfile::tempdir().unwrap();
    let ingest = Ingest::start(dir.path(), &[]).await;
    (dir, ingest)
}

/// Runs a shell script as a worker to its end, and waits for its whole log.
async fn ran(ingest: &Ingest, worker: &str, script: &str) {
    let mut command = agent::command(&ingest.url(), worker);
    command.args(["--mirror", "false", "--", "sh", "-c", script]);
    agent::output(command).await;
    ingest.completed(worker, worker).await;
}

async fn outline(ingest: &Ingest, worker: &str) -> Value {
    ingest.get_json(&format!("/api/v1/workers/{worker}/outline")).await.unwrap()
}

async fn search(ingest: &Ingest, worker: &str, query: &str) -> Value {
    ingest.get_json(&format!("/api/v1/workers/{worker}/search?{query}")).await.unwrap()
}

/// What is answered where something is wrong: the status, the code, and the message.
async fn refused(ingest: &Ingest, path: &str) -> (u16, String, String) {
    let response = reqwest::get(ingest.http_url(path)).await.unwrap();
    let status = response.status().as_u16();
    let body: Value = serde_json::from_slice(&response.bytes().await.unwrap()).unwrap();
    let text = |field: &str| body[field].as_str().unwrap_or_default().to_owned();
    (status, text("code"), text("message"))
}

/// What a metric of this name says.
async fn metric(ingest: &Ingest, name: &str) -> u64 {
    let text =
        reqwest::get(format!("http://{}/metrics", ingest.admin())).await.unwrap().text().await.unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ').map(str::to_owned));
    line.and_then(|value| value.parse().ok()).unwrap_or_else(|| panic!("no {name} in {text}"))
}

#[tokio::test]
async fn an_outline_tells_the_groups_the_first_failure_and_the_colors_of_a_log() {
    let (_dir, ingest) = ingest().await;
    let script = r"
        echo '::group::Build it'; echo x; echo '::endgroup::'
        echo '##[group]Lint'; echo '##[warning]careful'; echo '##[endgroup]'
        printf '\033[0Ksection_start:100:test[collapsed=true]\r\033[0K\033[36mTest it\033[0m\n'
        echo 'error: no' >&2
        printf '\033[0Ksection_end:130:test\r\033[0K\n'
        echo '--- Clean up'
        echo '::error file=a.rs::it broke'
        printf '\033[1;31mred from here on\n'
        seq 1000
        exit 3";
    ran(&ingest, "told", script).await;
    let told = outline(&ingest, "told").await;
    assert_eq!(told["complete"], true, "{told}");
    let worker = ingest.get_json("/api/v1/workers/told").await.unwrap();
    assert_eq!((&worker["exit_code"], &worker["last_sequence"]), (&json!(3), &told["last_sequence"]));
    assert_eq!(worker, ingest.task("told").await.unwrap()["workers"][0]);

    let groups: Vec<_> = told["groups"].as_array().unwrap().iter().collect();
    let titles: Vec<_> = groups.iter().map(|group| group["title"].as_str().unwrap()).collect();
    assert_eq!(titles, ["Build it", "Lint", "Test it", "Clean up"]);
    assert_eq!(groups[2]["started_at"], "1970-01-01T00:01:40Z");
    assert_eq!(groups[2]["ended_at"], "1970-01-01T00:02:10Z");
    assert_eq!(groups[3]["last"], told["last_sequence"], "what is open ends with the log");

    let lines = ingest.lines("told").await.unwrap();
    let at = |text: &str| {
        let line = lines.iter().find(|line| line["message"].as_str().is_some_and(|m| m.contains(text)));
        line.unwrap_or_else(|| panic!("no {text}"))["sequence"].clone()
    };
    assert_eq!(groups[0]["first"], at("::group::Build it"));
    assert_eq!(groups[0]["last"], at("::endgroup::"));
    assert_eq!(told["first_failure"], at("it broke"), "the command's own word goes before a tool's");
    assert_eq!(told["marks"], json!([[at("careful"), "warning"], [at("it broke"), "error"]]));
    assert_eq!(told["levels"], json!({"error": 1, "warning": 1}));
    assert_eq!(told["styles"], json!([[513, "1;31"]]));
    let count = |source: &str| lines.iter().filter(|line| line["source"] == source).count();
    let counts = json!({"stdout": count("stdout"), "stderr": 1, "system": count("system")});
    assert_eq!((&told["counts"], &told["gaps"]), (&counts, &json!([])));
}

#[tokio::test]
async fn the_outline_of_a_log_that_grows_goes_on_where_it_was() {
    let (dir, ingest) = ingest().await;
    let go_on = dir.path().join("go-on");
    let script = format!(
        "echo ::group::first; seq 2000; until [ -e {0} ]; do sleep 0.05; done; echo ::endgroup::; echo FAILED",
        go_on.display()
    );
    let mut command = agent::command(&ingest.url(), "grows");
    command.args(["--mirror", "false", "--", "sh", "-c", &script]);
    let mut child = command.spawn().unwrap();
    let first = wait::until("the first 2001 lines are told", std::time::Duration::from_mins(1), || async {
        let told =
            ingest.get_json("/api/v1/workers/grows/outline").await.map_err(|error| error.to_string())?;
        if told["counts"]["stdout"] == 2001 { Ok(told) } else { Err(told.to_string()) }
    })
    .await;
    assert_eq!((&first["complete"], &first["groups"][0]["last"]), (&json!(false), &Value::Null));
    let (reads, misses) = (
        metric(&ingest, "otto_ingest_reader_parts_total").await,
        metric(&ingest, "otto_ingest_outline_misses_total").await,
    );
    assert_eq!(misses, 1);
    std::fs::write(&go_on, "").unwrap();
    assert!(child.wait().await.unwrap().success());
    ingest.completed("grows", "grows").await;
    let told = outline(&ingest, "grows").await;
    assert_eq!((&told["complete"], &told["counts"]["stdout"]), (&json!(true), &json!(2003)));
    assert!(told["groups"][0]["last"].is_u64() && told["first_failure"].is_u64(), "{told}");
    // A part has a line at least, and the 2,000 lines before are several.
    let sequence = |told: &Value| told["last_sequence"].as_u64().unwrap();
    let new = sequence(&told) - sequence(&first);
    assert!(metric(&ingest, "otto_ingest_reader_parts_total").await <= reads + new);
    assert_eq!(metric(&ingest, "otto_ingest_outline_misses_total").await, 1);
    assert!(metric(&ingest, "otto_ingest_outline_hits_total").await >= 1);
}

#[tokio::test]
async fn a_search_finds_what_people_see_by_text_expression_and_stream() {
    let (_dir, ingest) = ingest().await;
    let script = r"
        printf 'One \033[1mnee\033[31mdle\033[0m\n'; echo 'a NEEDLE'; echo hay
        echo 'needle 42' >&2; printf 'needle \377\376\n'; echo '나무 바늘'";
    ran(&ingest, "hay", script).await;
    let lines = ingest.lines("hay").await.unwrap();
    let found = async |query: &str| {
        let found = search(&ingest, "hay", query).await;
        assert_eq!((&found["next"], &found["through"]), (&Value::Null, &json!(lines.len())), "{found}");
        let ranges = found["ranges"].as_array().unwrap().clone();
        let all: Vec<_> =
            ranges.iter().flat_map(|range| range[0].as_u64().unwrap()..=range[1].as_u64().unwrap()).collect();
        assert_eq!(found["matches"], json!(all.len()));
        let line = |sequence: u64| &lines[usize::try_from(sequence - 1).unwrap()];
        all.into_iter()
            .map(|sequence| line(sequence)["message"].as_str().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(found("q=needle").await.len(), 4);
    assert_eq!(found("q=needle&case=true").await.len(), 3);
    assert_eq!(found("q=needle&source=stderr").await, ["needle 42"]);
    assert_eq!(found("q=%5Ene.*%5Cd%7B2%7D%24&regex=true").await, ["needle 42"]);
    assert_eq!(found("q=%EB%B0%94%EB%8A%98").await, ["나무 바늘"]);
    assert_eq!(found("q=.&source=stdout,stderr").await, Vec::<String>::new(), "a text is no expression");
    assert_eq!(found("q=31m").await, Vec::<String>::new(), "nobody sees that");
    assert_eq!(found("source=stderr").await, ["needle 42"]);
    assert_eq!(found("source=stdout,stderr").await.len(), 6);
    assert_eq!(found("").await.len(), lines.len());
    assert_eq!(metric(&ingest, "otto_ingest_searches_total").await, 10);
    assert_eq!(metric(&ingest, "otto_ingest_searches_refused_total").await, 0);
}

#[tokio::test]
async fn a_search_goes_on_where_its_limit_ended_it_and_finds_each_line_once() {
    let (_dir, ingest) = ingest().await;
    ran(&ingest, "long", "seq 1 20000").await;
    let wanted: BTreeSet<u64> = (1..=20_000).filter(|number| number.to_string().contains("00")).collect();
    let (mut next, mut seen, mut answers) = (json!(1), BTreeSet::new(), 0);
    while !next.is_null() {
        let found = search(&ingest, "long", &format!("q=00&limit=50&from={next}")).await;
        let ranges = found["ranges"].as_array().unwrap();
        assert!(ranges.len() <= 50);
        for range in ranges {
            for line in range[0].as_u64().unwrap()..=range[1].as_u64().unwrap() {
                assert!(seen.insert(line), "{line} was found twice");
            }
        }
        next = found["next"].clone();
        answers += 1;
    }
    assert!(answers > 1, "one answer had it all");
    assert_eq!(seen, wanted);
}

#[tokio::test]
async fn what_cannot_be_looked_for_is_refused_by_name() {
    let (_dir, ingest) = ingest().await;
    ran(&ingest, "w", "echo x").await;
    let long = format!("q={}", "x".repeat(1001));
    let cases = [
        ("q=a(b&regex=true", "q: ", "unclosed group"),
        ("q=(a)%5C1&regex=true", "q: ", "backreferences"),
        ("q=(%5Cw%7B100%7D)%7B100%7D&regex=true", "q: ", "memory"),
        (&*long, "q: ", "1001 bytes"),
        ("q=x&case=maybe", "case: ", "true or false"),
        ("q=x&regex=1", "regex: ", "true or false"),
        ("source=stdin", "source: ", "stdout, stderr, system"),
        ("from=-1", "from: ", "number"),
        ("limit=many", "limit: ", "from 1 to 100000"),
    ];
    for (query, parameter, why) in cases {
        let (status, code, message) = refused(&ingest, &format!("/api/v1/workers/w/search?{query}")).await;
        assert_eq!((status, &*code), (400, "invalid_argument"), "{query}: {message}");
        assert!(message.starts_with(parameter) && message.contains(why), "{query}: {message}");
    }
    for path in ["", "/outline", "/search", "/log.txt"] {
        let (status, code, message) = refused(&ingest, &format!("/api/v1/workers/nobody{path}")).await;
        assert_eq!((status, &*code), (404, "not_found"), "{path}: {message}");
    }
}

#[tokio::test]
async fn a_range_of_a_log_is_given_as_it_was_written_and_the_whole_as_a_file() {
    let (_dir, ingest) = ingest().await;
    let mut command = agent::command(&ingest.url(), "range");
    command.args(["--mirror", "false", "--", "sh", "-c", "seq 2000"]);
    assert!(agent::output(command).await.status.success());
    ingest.completed("range", "range").await;
    let lines = ingest.lines("range").await.unwrap();
    let wanted = |line: &&Value| line["source"] == "stdout";
    let text: Vec<_> = lines.iter().filter(wanted).map(|line| line["message"].as_str().unwrap()).collect();
    let at = |number: &str| lines.iter().find(|line| line["message"] == number).unwrap()["sequence"].clone();
    let (from, to) = (at("500"), at("1300"));
    let given = ingest.get(&format!("/api/v1/workers/range/log.txt?from={from}&to={to}")).await.unwrap();
    let expected: Vec<_> = (500..=1300).map(|number: u32| number.to_string()).collect();
    assert!(String::from_utf8(given).unwrap().lines().eq(expected.iter().map(String::as_str)));

    let whole = reqwest::get(ingest.http_url("/api/v1/workers/range/log.txt?download=true")).await.unwrap();
    let disposition = whole.headers()["content-disposition"].to_str().unwrap().to_owned();
    assert!(disposition.starts_with("attachment; filename=\"range.txt\""), "{disposition}");
    assert!(whole.text().await.unwrap().lines().eq(text));
    let shown = reqwest::get(ingest.http_url("/api/v1/workers/range/log.txt")).await.unwrap();
    assert!(!shown.headers().contains_key("content-disposition"));
    for (query, parameter) in [("from=9&to=8", "to: "), ("to=x", "to: "), ("download=yes", "download: ")] {
        let (status, _, message) = refused(&ingest, &format!("/api/v1/workers/range/log.txt?{query}")).await;
        assert!(status == 400 && message.starts_with(parameter), "{query}: {message}");
    }
}

/// Whatever a command prints: the server answers in time and stays small.
#[tokio::test]
async fn p6_hostile_logs_are_outlined_and_searched_within_bounds() {
    let (_dir, ingest) = ingest().await;
    let script = r#"
        yes '::group::within' | head -n 1000000
        head -c 1000000 /dev/zero | tr '\0' '\033'; echo
        yes "$(printf '\033]8;;')" | tr -d '\n' | head -c 1000000; echo
        head -c 1000000 /dev/urandom; echo
        echo '::error::the end'"#;
    let mut command = agent::command(&ingest.url(), "hostile");
    command.args(["--mirror", "false", "--max-line", "1MiB", "--", "sh", "-c", script]);
    agent::output(command).await;
    ingest.completed("hostile", "hostile").await;
    let told = outline(&ingest, "hostile").await;
    assert_eq!((&told["complete"], told["groups"].as_array().unwrap().len()), (&json!(true), 10_000));
    assert_eq!(told["groups_left_out"], 990_000);
    assert!(told["first_failure"].is_u64(), "{}", told["levels"]);
    let bytes = metric(&ingest, "otto_ingest_outline_bytes").await;
    assert!((1..8 << 20).contains(&bytes), "{bytes} bytes");
    // An answer takes two seconds of work at the most, and says where to go on.
    let (mut matches, mut next) = (0, json!(1));
    while !next.is_null() {
        let found = search(&ingest, "hostile", &format!("q=within&limit=1&from={next}")).await;
        matches += found["matches"].as_u64().unwrap();
        next = found["next"].clone();
    }
    assert_eq!(matches, 1_000_000);
    let slow = "q=(.*a)%7B30%7Dz&regex=true";
    let before = std::time::Instant::now();
    let found = search(&ingest, "hostile", slow).await;
    // Two seconds of work, on a busy machine and not optimised.
    assert!(before.elapsed().as_secs() < 15, "{:?}: {found}", before.elapsed());
}
