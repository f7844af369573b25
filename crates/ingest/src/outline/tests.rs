use proptest::prelude::*;

use super::*;
use crate::line::{Extra, LinesBuilder, Mark};

/// A line of a log: where from, its flags, its level, its text.
type Given<'a> = (Source, u32, &'a str, &'a [u8]);

fn block(first: u64, lines: &[Given<'_>]) -> Block {
    let mut builder = LinesBuilder::default();
    for (at, (source, flags, level, text)) in (0..).zip(lines) {
        let extra = Extra { level: (*level).to_owned(), ..Extra::default() };
        builder.push(at, Mark::new(*source, *flags), text, extra);
    }
    Block { first: Sequence::new(first), content: Content::Lines(builder.finish()) }
}

fn gap(first: u64, last: u64) -> Block {
    let content = Content::Gap { last: Sequence::new(last), reason: "buffer_full".into() };
    Block { first: Sequence::new(first), content }
}

fn outline(blocks: &[Block]) -> Outline {
    let mut outline = Outline::default();
    for block in blocks {
        outline.read(block);
    }
    outline
}

fn stdout(lines: &[&str]) -> Outline {
    let lines: Vec<_> = lines.iter().map(|line| (Source::Stdout, 0, "", line.as_bytes())).collect();
    outline(&[block(1, &lines)])
}

#[test]
fn lines_are_counted_by_source_and_level_and_what_is_missing_is_told() {
    let lines: &[Given<'_>] = &[
        (Source::Stdout, 0, "", b"::warning::careful"),
        (Source::Stderr, 0, "error", b"no"),
        (Source::System, 0, "info", b"::group::the agent's own"),
        (Source::Stdout, 0, "", b"x"),
    ];
    let outline = outline(&[block(1, lines), gap(5, 9), block(10, lines)]);
    let sources = [Source::Stdout, Source::Stderr, Source::System].map(|source| outline.lines(source));
    assert_eq!(sources, [4, 2, 2]);
    let levels: Vec<_> = outline.levels().seen().collect();
    assert_eq!(levels, [(Level::Error, 2), (Level::Warning, 2), (Level::Info, 2)]);
    let marks: Vec<_> = outline.marks().iter().map(|(at, level)| (at.get(), *level)).collect();
    assert_eq!(marks, [(1, Level::Warning), (2, Level::Error), (10, Level::Warning), (11, Level::Error)]);
    assert!(outline.groups().is_empty());
    assert_eq!((outline.gaps()[0].first.get(), outline.gaps()[0].last.get()), (5, 9));
    assert_eq!(outline.through().get(), 13);
}

#[test]
fn the_agents_own_words_have_no_part_in_the_commands_colors() {
    let mut lines: Vec<Given<'_>> = vec![(Source::Stdout, 0, "", &b"red"[..]); 512];
    lines[0].3 = b"\x1b[31mred from here on";
    lines[1] = (Source::System, 0, "info", b"\x1b[1mheard\x1b[0m");
    lines.push((Source::Stdout, 0, "", b"still red"));
    let outline = outline(&[block(1, &lines)]);
    let styles: Vec<_> = outline.styles().iter().map(|(at, style)| (at.get(), style.to_string())).collect();
    assert_eq!(styles, [(513, "31".to_owned())]);
}

#[test]
fn what_a_command_says_of_its_failure_goes_before_the_words_of_its_tools() {
    let first = |lines: &[&str]| stdout(lines).first_failure().map(Sequence::get);
    assert_eq!(first(&["fine", "error: no", "FAILED"]), Some(2));
    assert_eq!(first(&["error: no", "fine", "::error::no", "##[error]no"]), Some(3));
    assert_eq!(first(&["\x1b[1m\x1b[31merror\x1b[0m\x1b[1m: no\x1b[0m"]), Some(1));
    assert_eq!(first(&["fine"]), None);
    let by_level = block(1, &[(Source::Stderr, 0, "FATAL", b"no")]);
    assert_eq!(outline(&[by_level]).first_failure().map(Sequence::get), Some(1));
}

#[test]
fn headers_are_seen_behind_colors_and_not_in_the_rest_of_a_long_line() {
    let lines: &[Given<'_>] = &[
        (Source::Stdout, 0, "", b"\x1b[33m\x1b[1m::group::\x1b[0mcolored"),
        (Source::Stdout, 0, "", b"\x1b[0Ksection_start:7:s\r\x1b[0K\x1b[36mcolored too\x1b[0m"),
        (Source::Stdout, 1, "", b"long"),
        (Source::Stderr, 0, "", b"::group::between"),
        (Source::Stdout, 0, "", b"::group::rest of a long line"),
        (Source::Stdout, 0, "", b"::endgroup::"),
    ];
    let outline = outline(&[block(1, lines)]);
    let groups: Vec<_> = outline.groups().iter().map(|group| (group.first.get(), &*group.title)).collect();
    assert_eq!(groups, [(1, "colored"), (2, "colored too"), (4, "between")]);
    assert_eq!(outline.groups()[2].end, Some(End { last: Sequence::new(6), at_ns: 5 }));
    assert_eq!(outline.end(), End { last: Sequence::new(6), at_ns: 5 });
}

const LONG: usize = 1 << 20;

/// What no honest command prints, each in lines of 1 MiB.
fn hostile() -> Vec<Vec<u8>> {
    let repeated = |part: &[u8]| part.iter().copied().cycle().take(LONG).collect::<Vec<_>>();
    [
        &b"\x1b]"[..],
        b"\x1b[",
        b"\x1b[38:2:",
        b"\x1b[1;",
        b"\x1b[31m",
        b"\x1b]8;;",
        b"\x1bP",
        b"section_start:1:a\r",
        b"section_end:1:a\r",
        b"section_start:1:",
        b"::group::",
        b"##vso[task.logissue ;",
        b"::error ",
        b"error",
        b"fatal",
        b"]: **",
        b"\xff\xfe\x80",
        b"\x00",
        b"--- ",
        b"[collapsed=true,",
    ]
    .into_iter()
    .map(repeated)
    .collect()
}

#[test]
fn p6_hostile_lines_take_time_as_they_are_long_and_leave_nothing_large() {
    let lines = hostile();
    let given: Vec<_> = lines.iter().map(|line| (Source::Stdout, 0, "", &line[..])).collect();
    let before = std::time::Instant::now();
    let outline = outline(&[block(1, &given)]);
    // About 20 MB; with time as the square of a line it would be hours.
    assert!(before.elapsed().as_secs() < 20, "{:?}", before.elapsed());
    assert!(outline.bytes() < 8 << 20, "{} bytes", outline.bytes());
    assert_eq!(outline.lines(Source::Stdout), lines.len() as u64);
}

#[test]
fn p6_an_outline_of_whatever_takes_up_a_few_mebibytes_at_the_most() {
    let title = format!("::group::{}", "x".repeat(300));
    let lines: [Given<'_>; 4] = [
        (Source::Stdout, 0, "", title.as_bytes()),
        (Source::Stdout, 0, "warning", b"\x1b[1;2;3;38;2;255;255;255;48;2;255;255;255m"),
        (Source::Stdout, 0, "error", b"section_start:1:a\r"),
        (Source::Stderr, 0, "", b"::error::no"),
    ];
    let lines: Vec<_> = lines.iter().copied().cycle().take(512).collect();
    let mut outline = Outline::default();
    let mut first = 1;
    for _ in 0..11_000 {
        outline.read(&block(first, &lines));
        outline.read(&gap(first + 512, first + 1023));
        first += 1024;
    }
    assert!(outline.bytes() < 8 << 20, "{} bytes", outline.bytes());
    assert!(outline.groups_left_out() > 1_000_000);
}

proptest! {
    #[test]
    fn it_does_not_matter_in_how_many_pieces_a_log_is_read(
        texts in prop::collection::vec("(::group::|::endgroup::|--- |\x1b\\[31m|\x1b\\[0m|error:|::error::|[a-z]{0,3}){0,4}", 1..40),
        flags in prop::collection::vec((0_u32..4, 0_usize..3), 40),
        cut in 0_usize..40,
    ) {
        let sources = [Source::Stdout, Source::Stderr, Source::System];
        let lines: Vec<Given<'_>> = texts.iter().zip(&flags)
            .map(|(text, (flags, source))| (sources[*source], *flags, "", text.as_bytes())).collect();
        let cut = cut % lines.len();
        let whole = outline(&[block(1, &lines)]);
        let Content::Lines(all) = block(1, &lines).content else { unreachable!("lines") };
        let mut pieces = vec![];
        if cut > 0 {
            pieces.push(Block { first: Sequence::new(1), content: Content::Lines(all.clone().truncate(cut)) });
        }
        let first = Sequence::new(1).plus(cut as u64);
        pieces.push(Block { first, content: Content::Lines(all.skip(cut)) });
        prop_assert_eq!(format!("{whole:?}"), format!("{:?}", outline(&pieces)));
    }
}
