//! `docs/configure.md` has every flag of the programs as their own help has it. `OTTO_BLESS=1` renews it.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::process::Command;

use ottoscaler_tests::binary;
use ottoscaler_tests::document::Document;

/// A flag, as help shows it.
#[derive(Debug, Default)]
pub(super) struct Flag {
    /// With its dashes.
    pub(super) name: String,
    heading: String,
    variable: String,
    default: String,
    about: String,
}

/// What a command says of its flags. No variable of whoever runs this shows among their values.
pub(super) fn flags(command: &str) -> Vec<Flag> {
    let mut words = command.split(' ');
    let program = binary::path(words.next().unwrap());
    let help = Command::new(program).args(words).arg("--help").env_clear().output().unwrap();
    assert!(help.status.success(), "{help:?}");
    parse(&String::from_utf8(help.stdout).unwrap())
}

/// The flags in a help text: a line each begins with its dashes, and what is indented more deeply is about it.
fn parse(help: &str) -> Vec<Flag> {
    let mut flags: Vec<Flag> = Vec::new();
    let (mut heading, mut text) = (String::new(), None::<String>);
    for line in help.lines() {
        let trimmed = line.trim();
        let indent = line.len() - line.trim_start().len();
        if indent == 0 && trimmed.ends_with(':') {
            finish(&mut flags, text.take());
            trimmed.trim_end_matches(':').clone_into(&mut heading);
        } else if (1..8).contains(&indent) && trimmed.starts_with('-') {
            finish(&mut flags, text.take());
            let at = trimmed.find("--").expect("every flag has a long name");
            let (name, rest) = trimmed[at..].split_once("  ").unwrap_or((&trimmed[at..], ""));
            flags.push(Flag { name: name.to_owned(), heading: heading.clone(), ..Flag::default() });
            text = Some(rest.trim().to_owned());
        } else if let Some(text) = text.as_mut().filter(|_| indent >= 8 && !trimmed.is_empty()) {
            // A value and what it is stand in a line of their own.
            text.push_str(if trimmed.starts_with("- ") { "; " } else { " " });
            text.push_str(trimmed.trim_start_matches("- "));
        } else if indent < 8 && !trimmed.is_empty() {
            finish(&mut flags, text.take());
        }
    }
    finish(&mut flags, text);
    flags.retain(|flag| !["--help", "--version"].contains(&flag.name.as_str()));
    flags
}

/// What help says of the last flag, taken apart.
fn finish(flags: &mut [Flag], text: Option<String>) {
    let (Some(flag), Some(mut text)) = (flags.last_mut(), text) else { return };
    take(&mut text, "[env: ").trim_end_matches('=').clone_into(&mut flag.variable);
    flag.default = take(&mut text, "[default: ");
    let values = take(&mut text, "[possible values: ");
    if !values.is_empty() {
        write!(text, ": {values}").unwrap();
    }
    let words: Vec<_> = text.split_whitespace().collect();
    flag.about = words.join(" ").replace("Possible values:;", "·");
}

/// Takes what stands behind `start` and before its bracket out of a text.
fn take(text: &mut String, start: &str) -> String {
    let Some(at) = text.find(start) else { return String::new() };
    let end = at + text[at..].find(']').expect("a bracket is closed");
    let taken = text[at + start.len()..end].to_owned();
    text.replace_range(at..=end, "");
    text.truncate(text.trim_end().len());
    taken
}

/// A flag with its value, where that says more than the flag's own name does.
fn shown(name: &str) -> String {
    match name.split_once(" <") {
        Some((flag, value)) if flag[2..].replace('-', "_").to_uppercase() == value.trim_end_matches('>') => {
            code(flag)
        }
        _ => code(name),
    }
}

fn cell(text: &str) -> String {
    text.replace('|', "\\|").replace('<', "&lt;")
}

fn code(text: &str) -> String {
    if text.is_empty() { String::new() } else { format!("`{}`", text.replace('|', "\\|")) }
}

/// A table for each heading.
fn tables(flags: &[Flag]) -> String {
    let mut text = String::new();
    let mut heading = "";
    for flag in flags {
        if flag.heading != heading {
            heading = &flag.heading;
            write!(text, "\n**{heading}**\n\n| flag | variable | default | what |\n|---|---|---|---|\n")
                .unwrap();
        }
        let (name, variable, default) = (shown(&flag.name), code(&flag.variable), code(&flag.default));
        writeln!(text, "| {name} | {variable} | {default} | {} |", cell(&flag.about)).unwrap();
    }
    text
}

/// The commands that have flags, and the command whose flags they take as well.
const COMMANDS: [(&str, &str); 9] = [
    ("ottoscaler", ""),
    ("ottoscaler submit", "ottoscaler"),
    ("ottoscaler dlq list", "ottoscaler"),
    ("ottoscaler dlq replay", "ottoscaler"),
    ("ottoscaler cleanup", "ottoscaler"),
    ("log-ingest", ""),
    ("otto-agent run", ""),
    ("otto-agent upload", "otto-agent run"),
    ("ottoscaler healthcheck", "ottoscaler"),
];

fn own_flags(command: &str, parent: &str) -> Vec<Flag> {
    let mut own = flags(command);
    if !parent.is_empty() && parent != "otto-agent run" {
        let known: BTreeSet<_> = flags(parent).into_iter().map(|flag| flag.name).collect();
        own.retain(|flag| !known.contains(&flag.name));
    }
    own
}

#[test]
fn every_flag_is_in_the_page_as_help_has_it() {
    let page = Document::read("docs/configure.md");
    let mut text = page.text.clone();
    let mut count = 0;
    for (command, parent) in COMMANDS {
        let flags = own_flags(command, parent);
        if flags.is_empty() {
            continue;
        }
        let (start, end) = (format!("<!-- flags of {command} -->\n"), "\n<!-- end -->");
        let from = text.find(&start).unwrap_or_else(|| panic!("configure.md: no {start}")) + start.len();
        let to = from + text[from..].find(end).unwrap_or_else(|| panic!("configure.md: no {end}"));
        text.replace_range(from..to, &tables(&flags));
        count += flags.len();
    }
    assert!(count > 70, "{count} flags");
    if std::env::var_os("OTTO_BLESS").is_some() {
        std::fs::write(binary::workspace().join(&page.path), &text).unwrap();
    } else if text != page.text {
        let stale = text.lines().find(|line| !page.text.contains(line));
        panic!("docs/configure.md is not what --help says: {stale:?}; renew it with `just docs`");
    }
}

#[test]
fn what_help_says_of_a_flag_is_taken_apart() {
    let help = "Usage: x\n\nOptions:\n  -h, --help\n          Print help\n\nListeners:\n      --addr <ADDR>\n          \
                Where it\n          listens\n          \n          [env: OTTO_ADDR=]\n          [default: 1]\n\n      \
                --limit <N>  At most so many\n                   of them [default: 100]\n      --how <HOW>\n          \
                How\n\n          Possible values:\n          - a:   One\n          - b: Two\n";
    let flags = parse(help);
    let tables = tables(&flags);
    let rows: Vec<_> = tables.lines().skip(5).collect();
    assert_eq!(
        rows,
        [
            "| `--addr` | `OTTO_ADDR` | `1` | Where it listens |",
            "| `--limit <N>` |  | `100` | At most so many of them |",
            "| `--how` |  |  | How · a: One; b: Two |",
        ]
    );
}
