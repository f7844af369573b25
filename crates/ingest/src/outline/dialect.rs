//! How commands say where a group of lines begins and ends, in the words of four CI systems.

use memchr::memchr;

/// What a line says of groups.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Marker<'a> {
    /// `::group::T` (GitHub), `##[group]T` (Azure).
    Open { title: &'a [u8] },
    /// `::endgroup::`, `##[endgroup]`: the innermost group of these ends with this line.
    Close,
    /// `section_start:UNIX:name` (GitLab).
    SectionStart(Section<'a>),
    /// `section_end:UNIX:name`: that section ends with this line.
    SectionEnd(Section<'a>),
    /// `--- T`, `~~~ T`, `+++ T` (Buildkite): a group that ends where the next begins.
    Header { title: &'a [u8], collapsed: bool },
    /// `^^^ +++`: the last group of these is to be shown.
    ShowLast,
}

/// A section's end of GitLab's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Section<'a> {
    pub(super) name: &'a [u8],
    /// What its runner's clock said, Unix seconds; none where that is no number.
    pub(super) unix: Option<u32>,
    pub(super) collapsed: bool,
    /// What people see behind it, for a title. Empty where another section follows.
    pub(super) title: &'a [u8],
}

/// What a line says of groups, in order. The line is what people see of it.
pub(super) fn markers(line: &[u8]) -> impl Iterator<Item = Marker<'_>> {
    let begin = line.trim_ascii_start();
    // Nearly all lines are done here.
    let (one, sections) = match begin.first() {
        Some(b':' | b'#') => (command(begin), &[][..]),
        Some(b'-' | b'+' | b'~' | b'^') => (header(line), &[][..]),
        Some(b's') => (None, begin),
        Some(_) | None => (None, &[][..]),
    };
    let mut rest = sections;
    let sections = std::iter::from_fn(move || {
        let (marker, behind) = section(rest)?;
        rest = behind;
        Some(marker)
    });
    one.into_iter().chain(sections)
}

fn command(line: &[u8]) -> Option<Marker<'_>> {
    let title = line.strip_prefix(b"::group::").or_else(|| line.strip_prefix(b"##[group]"));
    if let Some(title) = title {
        return Some(Marker::Open { title });
    }
    let ends = line.starts_with(b"::endgroup::") || line.starts_with(b"##[endgroup]");
    ends.then_some(Marker::Close)
}

/// At the very beginning of the line only: what is indented is quoted.
fn header(line: &[u8]) -> Option<Marker<'_>> {
    let (sign, rest) = line.split_at_checked(3)?;
    let (space, title) = rest.split_first()?;
    if *space != b' ' {
        return None;
    }
    match sign {
        b"^^^" => title.starts_with(b"+++").then_some(Marker::ShowLast),
        b"---" | b"~~~" | b"+++" if is_title(title, sign) => {
            Some(Marker::Header { title, collapsed: sign != b"+++" })
        }
        _ => None,
    }
}

/// Not what other tools print in the same form: files of a diff, Go's tests, rules like `--- x ---`, YAML.
fn is_title(title: &[u8], sign: &[u8]) -> bool {
    const OTHERS: [&[u8]; 9] =
        [b"a/", b"b/", b"/dev/null", b"FAIL:", b"PASS:", b"SKIP:", b"BENCH:", b"!", b"# "];
    let title = title.trim_ascii();
    let is_other = OTHERS.iter().any(|other| title.starts_with(other))
        || title.ends_with(sign)
        // Between a file of a diff and its time.
        || memchr(b'\t', title).is_some();
    !title.is_empty() && !is_other
}

/// `section_start:UNIX:name[collapsed=true]\rTitle`, and what may be the next one.
fn section(line: &[u8]) -> Option<(Marker<'_>, &[u8])> {
    let (starts, rest) = if let Some(rest) = line.strip_prefix(b"section_start:") {
        (true, rest)
    } else {
        (false, line.strip_prefix(b"section_end:")?)
    };
    let colon = memchr(b':', rest)?;
    let unix = std::str::from_utf8(&rest[..colon]).ok().and_then(|digits| digits.parse().ok());
    let rest = &rest[colon + 1..];
    let end = memchr(b'\r', rest).unwrap_or(rest.len());
    let (name, behind) = (&rest[..end], &rest[(end + 1).min(rest.len())..]);
    let (name, options) = name.split_at(memchr(b'[', name).unwrap_or(name.len()));
    let collapsed = options.split(|byte| b"[,]".contains(byte)).any(|option| option == b"collapsed=true");
    let follows = [&b"section_start:"[..], b"section_end:"].iter().any(|next| behind.starts_with(next));
    let section = Section { name, unix, collapsed, title: if follows { b"" } else { behind } };
    let marker = if starts { Marker::SectionStart(section) } else { Marker::SectionEnd(section) };
    Some((marker, behind))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn of(line: &str) -> Vec<Marker<'_>> {
        markers(line.as_bytes()).collect()
    }

    fn header(title: &str, collapsed: bool) -> Vec<Marker<'_>> {
        vec![Marker::Header { title: title.as_bytes(), collapsed }]
    }

    fn section<'a>(name: &'a str, unix: u32, title: &'a str) -> Section<'a> {
        let (name, title) = (name.as_bytes(), title.as_bytes());
        Section { name, unix: Some(unix), collapsed: false, title }
    }

    #[test]
    fn four_systems_are_understood() {
        assert_eq!(of("::group::Build it"), [Marker::Open { title: b"Build it" }]);
        assert_eq!(of("  ::group::"), [Marker::Open { title: b"" }]);
        assert_eq!(of("##[group]Build it"), [Marker::Open { title: b"Build it" }]);
        assert_eq!(of("::endgroup::"), [Marker::Close]);
        assert_eq!(of("##[endgroup]"), [Marker::Close]);
        assert_eq!(of("--- Build"), header("Build", true));
        assert_eq!(of("~~~ Quiet"), header("Quiet", true));
        assert_eq!(of("+++ :rocket: Shown"), header(":rocket: Shown", false));
        assert_eq!(of("^^^ +++"), [Marker::ShowLast]);
        let start = section("build", 1_560_896_352, "Build it");
        assert_eq!(of("section_start:1560896352:build\rBuild it"), [Marker::SectionStart(start)]);
        assert_eq!(
            of("section_start:1560896352:build[hide=me,collapsed=true]\rBuild it"),
            [Marker::SectionStart(Section { collapsed: true, ..start })]
        );
        assert_eq!(of("section_end:7:build\r"), [Marker::SectionEnd(section("build", 7, ""))]);
        let no_time = Section { unix: None, ..section("x", 0, "") };
        assert_eq!(of("section_end:99999999999:x"), [Marker::SectionEnd(no_time)]);
    }

    #[test]
    fn gitlabs_runner_ends_one_section_and_begins_the_next_on_the_same_line() {
        let line = "section_end:1:a\rsection_start:2:b\rTitle";
        let (end, start) = (section("a", 1, ""), section("b", 2, "Title"));
        assert_eq!(of(line), [Marker::SectionEnd(end), Marker::SectionStart(start)]);
    }

    #[test]
    fn what_other_tools_print_in_the_same_form_is_no_group() {
        let lines = [
            "--- a/src/main.rs",
            "+++ b/src/main.rs",
            "--- /dev/null",
            "--- old.txt\t2026-01-01 00:00:00",
            "--- FAIL: TestThing (0.00s)",
            "--- PASS: TestThing (0.00s)",
            "--- Logging error ---",
            "+++ exited with 0 +++",
            "--- !map",
            "---",
            "--- ",
            "----- Captured stdout call -----",
            "    --- indented",
            "++ set -x",
            "^^^ ---",
            "^^^^^ expected `;`",
            "::groups::x",
            "section_start:",
            "section_start:1",
            "sections",
            "",
        ];
        for line in lines {
            assert_eq!(of(line), [], "{line:?}");
        }
    }

    proptest! {
        #[test]
        fn any_line_has_an_end(line in "(section_start:|section_end:|::group::|--- |[0-9]{1,3}|:|\r|\\[|x){0,20}") {
            prop_assert!(of(&line).len() <= line.len());
        }
    }
}
