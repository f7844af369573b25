use super::*;

fn lines(texts: &[&str]) -> Lines {
    let mut builder = LinesBuilder::default();
    for (at, text) in (0..).zip(texts) {
        let extra = Extra { level: if at == 2 { "warn".into() } else { String::new() }, ..Extra::default() };
        builder.push(at, Mark::default(), text.as_bytes(), extra);
    }
    builder.finish()
}

fn texts(lines: &Lines) -> Vec<String> {
    lines.iter().map(|line| String::from_utf8_lossy(line.bytes).into_owned()).collect()
}

#[test]
fn skipping_keeps_bytes_times_and_extras_with_their_lines() {
    let rest = lines(&["a", "", "ccc", "dd"]).skip(2);
    assert_eq!(texts(&rest), ["ccc", "dd"]);
    assert_eq!(rest.iter().map(|line| line.time_ns).collect::<Vec<_>>(), [2, 3]);
    assert_eq!(
        rest.iter().next().and_then(|line| line.extra).map(|extra| extra.level.as_str()),
        Some("warn")
    );
}

/// Each way to cut, at each place: times, marks, bytes and extras stay with their lines.
#[test]
fn lines_that_are_cut_are_those_that_there_were() {
    let whole = lines(&["a", "", "ccc", "dd", "e"]);
    for count in 0..=whole.len() {
        let mut front = whole.clone();
        let behind = front.split_off(count);
        assert_eq!((front.len(), behind.len()), (count, whole.len() - count));
        let seen = |lines: &Lines| {
            let seen = |line: Line<'_>| (line.time_ns, line.mark, line.bytes.to_vec(), line.extra.cloned());
            lines.iter().map(seen).collect::<Vec<_>>()
        };
        assert_eq!([seen(&front), seen(&behind)].concat(), seen(&whole));
        assert_eq!(
            (whole.clone().truncate(count), whole.clone().skip(count)),
            (front.clone(), behind.clone())
        );
        let mut rest = whole.clone();
        assert_eq!((rest.split_first(count), rest), (front, behind));
    }
}

/// Parts of a large block are kept for as long as somebody reads behind: each with room for all of it would be many
/// times its memory.
#[test]
fn p6_a_part_that_is_taken_off_has_no_room_for_what_stood_behind_it() {
    let mut rest = lines(&["x"].repeat(10_000));
    let part = rest.split_first(10);
    assert!(part.times_ns.capacity() < 100, "{}", part.times_ns.capacity());
    assert!(part.lengths.capacity() < 100 && part.marks.capacity() < 100);
}

#[test]
fn a_block_is_cut_where_a_reader_wants_to_begin() {
    let block = Block { first: Sequence::new(10), content: Content::Lines(lines(&["a", "b", "c"])) };
    assert_eq!(block.last(), Sequence::new(12));
    let cut = block.clone().starting_at(Sequence::new(12));
    assert_eq!((cut.first, cut.last()), (Sequence::new(12), Sequence::new(12)));
    assert_eq!(block.clone().starting_at(Sequence::new(3)), block);
}

#[test]
fn a_mark_keeps_source_and_flags() {
    for source in [Source::Stdout, Source::Stderr, Source::System] {
        for flags in 0..4 {
            let mark = Mark::from_byte(Mark::new(source, flags).byte());
            assert_eq!((mark.source(), mark.flags()), (source, flags));
        }
    }
    assert_eq!(Mark::new(Source::Stderr, u32::MAX).flags(), 3);
}
