//! What pages name: files and headings that links lead to, flags, variables, and what the programs say.

use std::collections::BTreeSet;
use std::path::Path;

use ottoscaler_tests::binary::workspace;
use ottoscaler_tests::document::Document;

use super::flags;

/// The pages beside those of `docs`.
const OTHERS: [&str; 4] = ["README.md", "README.ko.md", "CONTRIBUTING.md", "ARCHITECTURE.md"];

fn pages() -> Vec<Document> {
    let mut pages = Document::guides();
    pages.extend(OTHERS.map(Document::read));
    assert!(pages.len() >= 15, "{}", pages.len());
    pages
}

#[test]
fn every_link_leads_somewhere() {
    let mut count = 0;
    for page in pages() {
        for link in page.links() {
            count += 1;
            let (file, anchor) = link.split_once('#').unwrap_or((&link, ""));
            let from = page.path.parent().unwrap().join(file);
            let to = if file.is_empty() { page.path.clone() } else { from };
            assert!(workspace().join(&to).exists(), "{}: {link} leads nowhere", page.path.display());
            if !anchor.is_empty() {
                let anchors = Document::read(&to).anchors();
                assert!(anchors.iter().any(|known| known == anchor), "{}: {link}", page.path.display());
            }
        }
    }
    assert!(count >= 40, "{count}");
}

#[test]
fn the_index_has_every_page() {
    let index = Document::read("docs/README.md").links();
    for page in Document::guides() {
        let name = page.path.file_name().unwrap().to_str().unwrap().to_owned();
        assert!(name == "README.md" || index.contains(&name), "docs/README.md leads to no {name}");
    }
}

/// Pieces of a text that stand between backticks.
fn code(text: &str) -> Vec<&str> {
    text.lines().flat_map(|line| line.split('`').skip(1).step_by(2)).collect()
}

/// The pages about this project alone, in whose words every flag is one of its programs.
fn guides() -> Vec<Document> {
    let foreign = ["benchmarks.md", "grpc-guide.md", "grpc-guide.ko.md"];
    let mut guides = Document::guides();
    guides.retain(|page| !foreign.iter().any(|name| page.path.ends_with(name)));
    guides
}

/// Flags that all programs have, and of helm and the scripts, that pages name by themselves.
const OF_OTHERS: [&str; 7] = [
    "--help",
    "--version",
    "--set",
    "--values",
    "--reuse-values",
    "--reset-then-reuse-values",
    "--no-docker",
];

#[test]
fn every_flag_that_is_named_exists() {
    let commands = [
        "ottoscaler",
        "ottoscaler submit",
        "ottoscaler dlq list",
        "ottoscaler dlq replay",
        "ottoscaler cleanup",
        "log-ingest",
        "otto-agent run",
        "otto-agent upload",
    ];
    let flags = commands.into_iter().flat_map(flags::flags);
    let known: BTreeSet<_> = flags.map(|flag| flag.name.split(' ').next().unwrap().to_owned()).collect();
    let mut count = 0;
    for page in guides() {
        let prose = page.prose();
        for named in code(&prose).into_iter().filter_map(|code| code.strip_prefix("--")) {
            let name = format!("--{}", named.split([' ', '=']).next().unwrap());
            let is_known = known.contains(&name) || OF_OTHERS.contains(&name.as_str());
            assert!(is_known, "{}: there is no {name}", page.path.display());
            count += 1;
        }
    }
    assert!(count > 100, "{count}");
}

/// All that the services and the agent are made of, and what the chart, the compose files and the scripts say.
fn sources() -> String {
    let mut text = String::new();
    for dir in ["crates", "proto", "helm/ottoscaler/templates", "docker", "scripts"] {
        gather(&workspace().join(dir), &mut text);
    }
    text
}

fn gather(dir: &Path, text: &mut String) {
    for entry in dir.read_dir().unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            gather(&path, text);
        } else if let Ok(source) = std::fs::read_to_string(&path) {
            text.push_str(&source);
        }
    }
}

fn is_of_name(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_'
}

#[test]
fn every_variable_that_is_named_exists() {
    let sources = sources();
    let mut count = 0;
    for page in guides().into_iter().chain([Document::read("README.md")]) {
        let words = page.text.split(|c| !is_of_name(c)).filter(|word| word.starts_with("OTTO_"));
        // A flag's own variable is made of its name; the tables are compared with help.
        let tables = page.path.ends_with("configure.md");
        for word in words.filter(|_| !tables) {
            assert!(sources.contains(word), "{}: nothing reads {word}", page.path.display());
            count += 1;
        }
    }
    assert!(count > 3, "{count}");
}

#[test]
fn every_message_of_the_page_about_trouble_is_one_that_a_program_says() {
    let page = Document::read("docs/troubleshooting.md");
    let sources = sources();
    let mut count = 0;
    for heading in page.text.lines().filter(|line| line.starts_with("### ")) {
        for message in code(heading) {
            count += 1;
            for part in message.split('…').map(str::trim).filter(|part| !part.is_empty()) {
                assert!(sources.contains(part), "no program says {part:?}");
            }
        }
    }
    assert!(count >= 20, "{count} messages");
}
