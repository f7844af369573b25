//! A page of the documentation: its fenced blocks, its headings and its links, and the stand-in for cargo with which
//! commands of pages are run.
//!
//! A command block that tests run is marked ```` ```sh test ````; a ```` ```text ```` block right behind it is what it
//! prints, in which `…` stands for anything.

use std::fmt::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use crate::binary::workspace;

/// How blocks begin whose commands are run.
pub const TESTED: &str = "sh test";

/// A fenced block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Block {
    /// What stands behind the fence's beginning.
    pub kind: String,
    /// What stands in it.
    pub text: String,
}

/// A page.
#[derive(Debug)]
pub struct Document {
    /// Where it is, from the workspace's root.
    pub path: PathBuf,
    /// All of it.
    pub text: String,
}

impl Document {
    /// Reads one; `path` is from the workspace's root.
    pub fn read(path: impl AsRef<Path>) -> Self {
        let path = path.as_ref().to_owned();
        let text = std::fs::read_to_string(workspace().join(&path));
        let text = text.unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        Self { path, text }
    }

    /// All pages for operators: those of `docs`.
    pub fn guides() -> Vec<Self> {
        let dir = workspace().join("docs").read_dir().expect("there is docs");
        let files = dir.map(|entry| entry.expect("a directory can be read").path());
        let pages = files.filter(|file| file.extension().is_some_and(|extension| extension == "md"));
        let mut names: Vec<_> = pages.filter_map(|page| page.file_name().map(ToOwned::to_owned)).collect();
        names.sort();
        names.into_iter().map(|name| Self::read(Path::new("docs").join(name))).collect()
    }

    /// Its fenced blocks, in order.
    pub fn blocks(&self) -> Vec<Block> {
        let mut blocks = Vec::new();
        let mut lines = self.text.lines();
        while let Some(line) = lines.next() {
            let Some(kind) = line.strip_prefix("```") else { continue };
            let mut text = String::new();
            for line in lines.by_ref().take_while(|line| *line != "```") {
                writeln!(text, "{line}").expect("a string takes everything");
            }
            blocks.push(Block { kind: kind.to_owned(), text });
        }
        blocks
    }

    /// The command of its shell blocks that begins so, without the remark behind it.
    ///
    /// # Panics
    ///
    /// Where there is not exactly one.
    pub fn command(&self, beginning: &str) -> String {
        let blocks = self.blocks();
        let lines =
            blocks.iter().filter(|block| block.kind.starts_with("sh")).flat_map(|block| block.text.lines());
        let found: Vec<_> = lines.filter(|line| line.starts_with(beginning)).collect();
        let [line] = found[..] else { panic!("{}: {beginning}: {found:?}", self.path.display()) };
        line.split("  #").next().unwrap_or(line).trim_end().to_owned()
    }

    /// Its lines outside of fenced blocks.
    pub fn prose(&self) -> String {
        let mut is_fenced = false;
        let mut prose = String::new();
        for line in self.text.lines() {
            let is_fence = line.starts_with("```");
            if !is_fenced && !is_fence {
                writeln!(prose, "{line}").expect("a string takes everything");
            }
            is_fenced ^= is_fence;
        }
        prose
    }

    /// The names by which links find its headings, as GitHub makes them.
    pub fn anchors(&self) -> Vec<String> {
        let prose = self.prose();
        let headings = prose.lines().filter_map(|line| line.strip_prefix('#'));
        headings.map(|line| anchor(line.trim_start_matches('#').trim())).collect()
    }

    /// Where its links lead, those to elsewhere on the internet left out.
    pub fn links(&self) -> Vec<String> {
        let prose = self.prose();
        let targets = prose.split("](").skip(1).filter_map(|rest| rest.split_once(')'));
        let local = targets.map(|(target, _)| target).filter(|target| !target.contains("://"));
        local.map(str::to_owned).collect()
    }
}

fn anchor(heading: &str) -> String {
    let kept = heading.chars().filter(|c| c.is_alphanumeric() || [' ', '-', '_'].contains(c));
    kept.flat_map(char::to_lowercase).map(|c| if c == ' ' { '-' } else { c }).collect()
}

/// Whether a line is what a page says, in which `…` stands for anything.
pub fn matches(pattern: &str, line: &str) -> bool {
    let mut parts = pattern.split('…');
    let Some(mut rest) = line.strip_prefix(parts.next().unwrap_or("")) else { return false };
    let parts: Vec<_> = parts.collect();
    let Some((last, middle)) = parts.split_last() else { return rest.is_empty() };
    for part in middle {
        let Some(at) = rest.find(part) else { return false };
        rest = &rest[at + part.len()..];
    }
    rest.ends_with(last)
}

/// The same of all lines.
pub fn all_match(expected: &str, printed: &str) -> bool {
    expected.lines().count() == printed.lines().count()
        && expected.lines().zip(printed.lines()).all(|(pattern, line)| matches(pattern, line))
}

/// Stands in for cargo: `cargo run -p PACKAGE [--example NAME] [-- ARGUMENT…]`.
const CARGO: &str = r#"#!/bin/sh
while [ $# -gt 0 ]; do
  case $1 in
    --) shift; break ;;
    -p) program=$2; shift ;;
    --example) program=$PROGRAMS/examples/$2; shift ;;
  esac
  shift
done
exec "$program" "$@"
"#;

/// Puts a `cargo` into `dir` that runs the program which cargo would build: that on the PATH, or an example in
/// `$PROGRAMS`.
pub fn put_cargo(dir: &Path) {
    put_program(dir, "cargo", CARGO);
}

/// Puts a program of this text into `dir`.
pub fn put_program(dir: &Path, name: &str, text: &str) {
    let file = dir.join(name);
    std::fs::write(&file, text).expect("a directory of the test's own");
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o755))
        .expect("a file of the test's own");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ellipsis_stands_for_anything_and_nothing_else_does() {
        assert!(matches("a … c …", "a b c d") && matches("same", "same") && matches("…", ""));
        assert!(!matches("same", "same!") && !matches("a … c", "a b d") && !matches("a", "b"));
        assert!(all_match("a\n…", "a\nb") && !all_match("a\n…", "a"));
    }

    #[test]
    fn headings_are_found_by_what_github_calls_them() {
        assert_eq!(anchor("Back up, and `restore`: how?"), "back-up-and-restore-how");
    }

    #[test]
    fn links_and_headings_in_blocks_are_none() {
        let text = "# One\n[a](b.md#c) [d](https://e)\n```sh\n# no [f](g)\n```\n## Two\n".to_owned();
        let page = Document { path: PathBuf::new(), text };
        assert_eq!(page.links(), ["b.md#c"]);
        assert_eq!(page.anchors(), ["one", "two"]);
        assert_eq!(page.blocks(), [Block { kind: "sh".to_owned(), text: "# no [f](g)\n".to_owned() }]);
    }
}
