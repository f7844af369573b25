//! Whether a line says, in the words of the usual tools, that something failed.

use std::sync::LazyLock;

use aho_corasick::{AhoCorasick, MatchKind};

/// Where words have to stand to mean it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// At the beginning of the line, behind white space.
    Start,
    /// Not in the midst of a word: neither a letter, a digit nor `_` stands before it.
    Word,
    /// The same, and none of them behind it either.
    Whole,
    /// Anywhere.
    Anywhere,
}

/// What tools say. Shortest forms only: what holds one of them is found by it.
const WORDS: &[(&str, Place)] = &[
    // Compilers, linkers, git, and whoever writes like them.
    ("error:", Place::Word),
    ("error[E", Place::Word),
    ("error TS", Place::Word),
    ("error CS", Place::Word),
    ("error LNK", Place::Word),
    ("error MSB", Place::Word),
    ("Error:", Place::Anywhere),
    ("ERROR:", Place::Word),
    ("ERROR in ", Place::Start),
    ("[ERROR] ", Place::Start),
    ("[error] ", Place::Start),
    ("fatal:", Place::Word),
    ("FATAL:", Place::Word),
    // Tests.
    ("FAILED", Place::Whole),
    ("FAIL:", Place::Word),
    ("FAIL ", Place::Start),
    ("FAIL\t", Place::Start),
    ("FAILURE", Place::Whole),
    ("not ok ", Place::Start),
    // Languages.
    ("panicked at", Place::Word),
    ("panic:", Place::Start),
    ("Traceback (most recent call last)", Place::Anywhere),
    ("AssertionError", Place::Anywhere),
    ("Exception:", Place::Anywhere),
    ("Exception in thread", Place::Anywhere),
    ("Unhandled exception", Place::Anywhere),
    // Build tools, package managers, shells.
    ("npm ERR!", Place::Start),
    ("npm error", Place::Start),
    ("ERR_PNPM_", Place::Word),
    ("make: ***", Place::Start),
    ("]: ***", Place::Anywhere),
    ("ninja: build stopped", Place::Start),
    ("Error response from", Place::Word),
    (": command not found", Place::Anywhere),
    ("Segmentation fault", Place::Anywhere),
    ("(core dumped)", Place::Anywhere),
];

static FINDER: LazyLock<AhoCorasick> = LazyLock::new(|| {
    let words = WORDS.iter().map(|(words, _)| words);
    AhoCorasick::builder()
        .match_kind(MatchKind::LeftmostFirst)
        .build(words)
        .expect("a few short words are no large automaton")
});

/// Whether it does. The line is what people see of it.
pub(super) fn is_told(line: &[u8]) -> bool {
    let begin = line.len() - line.trim_ascii_start().len();
    FINDER.find_iter(line).any(|found| {
        let (before, behind) = (&line[..found.start()], &line[found.end()..]);
        let starts_word = !before.last().copied().is_some_and(is_of_word);
        match WORDS[found.pattern().as_usize()].1 {
            Place::Start => found.start() == begin,
            Place::Word => starts_word,
            Place::Whole => starts_word && !behind.first().copied().is_some_and(is_of_word),
            Place::Anywhere => true,
        }
    })
}

const fn is_of_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_usual_tools_are_understood() {
        let lines = [
            "error: could not compile `app` (lib) due to 1 previous error",
            "error[E0308]: mismatched types",
            "src/main.c:3:5: error: expected ';' before '}' token",
            "src/main.c:1:10: fatal error: missing.h: No such file or directory",
            "fatal: not a git repository (or any of the parent directories): .git",
            "src/app.ts(3,7): error TS2322: Type 'string' is not assignable to type 'number'.",
            "Program.cs(5,13): error CS0103: The name 'x' does not exist",
            "main.obj : error LNK2019: unresolved external symbol",
            "TypeError: undefined is not a function",
            "Error: Cannot find module 'left-pad'",
            "ERROR: No matching distribution found for nothing==1",
            "[ERROR] Failed to execute goal",
            "ERROR in ./src/index.js",
            "test result: FAILED. 1 passed; 1 failed",
            "FAILED tests/test_a.py::test_b - assert 1 == 2",
            "[  FAILED  ] Suite.Case (0 ms)",
            "> Task :test FAILED",
            "BUILD FAILURE",
            "FAILURE: Build failed with an exception.",
            "--- FAIL: TestThing (0.00s)",
            "FAIL: test_thing (tests.Thing)",
            "FAIL src/app.test.js",
            "FAIL\texample.org/thing\t0.01s",
            "not ok 3 - adds numbers",
            "thread 'main' panicked at src/main.rs:2:5:",
            "panic: runtime error: index out of range",
            "Traceback (most recent call last):",
            "E       AssertionError",
            "Exception in thread \"main\" java.lang.IllegalStateException",
            "java.lang.IllegalStateException: broken",
            "Unhandled exception. System.Exception",
            "npm ERR! code ELIFECYCLE",
            "npm error code E404",
            " ERR_PNPM_OUTDATED_LOCKFILE  Cannot install",
            "make: *** [Makefile:2: all] Error 1",
            "make[2]: *** [all] Error 2",
            "ninja: build stopped: subcommand failed.",
            "Error response from daemon: no such image",
            "sh: 1: nothing: command not found",
            "Segmentation fault (core dumped)",
        ];
        for line in lines {
            assert!(is_told(line.as_bytes()), "{line:?}");
        }
    }

    #[test]
    fn words_that_only_look_like_it_are_not() {
        let lines = [
            "",
            "all is well",
            "0 errors, 0 warnings",
            "terror: a history",
            "Compiling failed-crate v1.0",
            "UNFAILED",
            "FAILEDNESS",
            "cargo:rerun-if-env-changed=ON_FAILURES",
            "test error_is_shown ... ok",
            "the test must FAIL if it is not ok either",
            "it said npm error",
            "panics: none",
        ];
        for line in lines {
            assert!(!is_told(line.as_bytes()), "{line:?}");
        }
    }

    #[test]
    fn p6_words_that_may_stand_at_the_beginning_alone_are_cheap_elsewhere() {
        let line = [" ".repeat(500_000), "x".to_owned(), "npm error".repeat(60_000)].concat();
        let before = std::time::Instant::now();
        assert!(!is_told(line.as_bytes()));
        assert!(before.elapsed().as_secs() < 5, "{:?}", before.elapsed());
    }

    #[test]
    fn every_word_of_the_table_is_found_where_it_may_stand() {
        for (words, _) in WORDS {
            assert!(is_told(words.as_bytes()), "{words:?}");
        }
    }
}
