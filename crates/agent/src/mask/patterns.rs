//! All forms of all values as one automaton, which is fed byte by byte where a form may begin, and else not
//! at all.
//!
//! An automaton says after each byte which forms end there. What it has not decided yet is the longest end
//! of the input with which a form begins: that many bytes have to be held back.

use std::collections::HashMap;
use std::ops::Range;

use aho_corasick::automaton::{Automaton, StateID};
use aho_corasick::nfa::{contiguous, noncontiguous};
use aho_corasick::{Anchored, MatchKind, dfa};

use super::encodings::{Breaks, Forms};
use super::prefilter::Prefilter;

/// Below this many bytes of forms a DFA is used: it is three times as fast, and takes up to 512 bytes of memory
/// for each byte of a form, of an agent that is to need a few MiB in all. Where most of a log is skipped, not
/// much of it is ever fed.
const SMALL: usize = 1 << 10;

/// Where an automaton stands between two reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct At(StateID);

/// The forms.
#[derive(Debug)]
pub(super) struct Patterns {
    automaton: Either,
    prefilter: Option<Prefilter>,
    start: StateID,
    /// Of each state that stands for the beginning of a form.
    begun: HashMap<StateID, Begun>,
    /// Of each form, by its place among them.
    breaks: Box<[Breaks]>,
    longest_breakable: usize,
}

/// How many of the last bytes are the beginning of a form.
#[derive(Clone, Copy, Debug, Default)]
struct Begun {
    of_any: usize,
    of_breakable: usize,
}

#[derive(Debug)]
enum Either {
    Fast(dfa::DFA),
    Small(contiguous::NFA),
}

impl Patterns {
    /// Of these forms, each of at least one byte.
    pub(super) fn new(forms: &Forms) -> Self {
        let bytes: usize = forms.keys().map(Vec::len).sum();
        let nfa = automaton(forms.keys());
        let automaton = if bytes <= SMALL {
            Either::Fast(dfa::Builder::new().build_from_noncontiguous(&nfa).expect("it is small"))
        } else {
            Either::Small(contiguous::Builder::new().build_from_noncontiguous(&nfa).expect("it is bounded"))
        };
        let (start, begun) = match &automaton {
            Either::Fast(dfa) => begun(dfa, forms),
            Either::Small(nfa) => begun(nfa, forms),
        };
        let breaks = forms.values().copied().collect();
        let longest_breakable = breakable(forms).map(Vec::len).max().unwrap_or(0);
        Self { automaton, prefilter: Prefilter::new(forms), start, begun, breaks, longest_breakable }
    }

    /// Bytes of the longest form that may be broken; 0 where there is none.
    pub(super) const fn longest_breakable(&self) -> usize {
        self.longest_breakable
    }

    /// Before any byte.
    pub(super) fn start(&self) -> At {
        At(self.start)
    }

    /// Goes on from `at` over `bytes`, and tells where a form ends: behind which of these bytes, and how
    /// long the longest form is that does. Gives where it stands afterwards.
    pub(super) fn scan(&self, at: At, bytes: &[u8], found: impl FnMut(usize, usize)) -> At {
        match &self.automaton {
            _ if self.begun.is_empty() => at,
            Either::Fast(dfa) => self.scan_with(dfa, at, bytes, found),
            Either::Small(nfa) => self.scan_with(nfa, at, bytes, found),
        }
    }

    fn scan_with<A: Automaton>(
        &self,
        automaton: &A,
        at: At,
        bytes: &[u8],
        mut found: impl FnMut(usize, usize),
    ) -> At {
        let (mut state, mut done) = (at.0, 0);
        while done < bytes.len() {
            let until = self.skip(&mut state, &mut done, bytes).min(bytes.len());
            state = step(automaton, state, bytes, done..until, &mut found);
            done = until;
        }
        At(state)
    }

    /// Passes over bytes with which no form begins. Gives up to where the automaton has to be fed then.
    fn skip(&self, state: &mut StateID, done: &mut usize, bytes: &[u8]) -> usize {
        let Some(prefilter) = &self.prefilter else { return bytes.len() };
        let begun = self.undecided(At(*state));
        // What has begun in an earlier read, or has come far, is seen through.
        if begun > *done || begun >= prefilter.window() {
            return *done + prefilter.window();
        }
        // Of what has begun less than a window was seen. Where the prefilter says that it is none, the
        // automaton would come to the same end from its start.
        let next = prefilter.find(bytes, *done - begun);
        if next > *done {
            (*state, *done) = (self.start, next);
        }
        next + prefilter.window()
    }

    /// So many of the last bytes may be the beginning of a form.
    pub(super) fn undecided(&self, at: At) -> usize {
        self.begun.get(&at.0).map_or(0, |begun| begun.of_any)
    }

    /// The same of a form that may be broken, and is not whole.
    pub(super) fn breakable(&self, at: At) -> usize {
        self.begun.get(&at.0).map_or(0, |begun| begun.of_breakable)
    }

    /// Goes on over one byte. Gives the length of the longest form that may be broken and ends behind it, too.
    pub(super) fn step(&self, at: At, byte: u8) -> (At, usize) {
        match &self.automaton {
            Either::Fast(dfa) => self.step_with(dfa, at, byte),
            Either::Small(nfa) => self.step_with(nfa, at, byte),
        }
    }

    fn step_with<A: Automaton>(&self, automaton: &A, at: At, byte: u8) -> (At, usize) {
        let state = automaton.next_state(Anchored::No, at.0, byte);
        let count = if automaton.is_match(state) { automaton.match_len(state) } else { 0 };
        let ended = (0..count).map(|nth| automaton.match_pattern(state, nth));
        let breakable = ended.filter(|pattern| self.breaks[pattern.as_usize()] == Breaks::Anywhere);
        (At(state), breakable.map(|pattern| automaton.pattern_len(pattern)).max().unwrap_or(0))
    }
}

/// Overlapping matches are needed, and all states: nothing else has them.
fn automaton<'a>(forms: impl Iterator<Item = &'a Vec<u8>>) -> noncontiguous::NFA {
    let nfa = noncontiguous::Builder::new().match_kind(MatchKind::Standard).prefilter(false).build(forms);
    nfa.expect("forms are bounded far below what an automaton takes")
}

fn breakable(forms: &Forms) -> impl Iterator<Item = &Vec<u8>> + Clone {
    forms.iter().filter(|(_, breaks)| **breaks == Breaks::Anywhere).map(|(form, _)| form)
}

fn start_of<A: Automaton>(automaton: &A) -> StateID {
    automaton.start_state(Anchored::No).expect("automata are built for searches anywhere")
}

fn begun<A: Automaton>(all: &A, forms: &Forms) -> (StateID, HashMap<StateID, Begun>) {
    let some = automaton(breakable(forms));
    let some_begun = going_on(&some, breakable(forms));
    let start = start_of(all);
    let mut begun = HashMap::new();
    for form in forms.keys() {
        // What the state of all knows of the input is enough for the state of some.
        let (mut state, mut some_state) = (start, start_of(&some));
        for (at, &byte) in form.iter().enumerate() {
            state = all.next_state(Anchored::No, state, byte);
            some_state = some.next_state(Anchored::No, some_state, byte);
            let of_breakable = some_begun.get(&some_state).copied().unwrap_or(0);
            begun.insert(state, Begun { of_any: at + 1, of_breakable });
        }
    }
    (start, begun)
}

/// Of each state: with how many of the last bytes a form begins and may go on. One that is whole does not, unless a
/// longer one begins with it.
fn going_on<'a, A: Automaton>(
    automaton: &A,
    forms: impl Iterator<Item = &'a Vec<u8>> + Clone,
) -> HashMap<StateID, usize> {
    let (mut depths, mut going_on) = (HashMap::new(), HashMap::new());
    for form in forms.clone() {
        let mut state = start_of(automaton);
        for (at, &byte) in form.iter().enumerate() {
            state = automaton.next_state(Anchored::No, state, byte);
            depths.insert(state, at + 1);
            if at + 1 < form.len() {
                going_on.insert(state, at + 1);
            }
        }
    }
    for form in forms {
        let (whole, mut state, mut rest) = (walk(automaton, form), walk(automaton, form), form.as_slice());
        while let Some(depth) = depths.get(&state) {
            if let Some(&depth) = going_on.get(&state) {
                going_on.insert(whole, depth);
                break;
            }
            rest = &rest[rest.len() - depth + 1..];
            state = walk(automaton, rest);
        }
    }
    going_on
}

fn walk<A: Automaton>(automaton: &A, bytes: &[u8]) -> StateID {
    let step = |state, &byte| automaton.next_state(Anchored::No, state, byte);
    bytes.iter().fold(start_of(automaton), step)
}

#[inline]
fn step<A: Automaton>(
    automaton: &A,
    mut state: StateID,
    bytes: &[u8],
    range: Range<usize>,
    found: &mut impl FnMut(usize, usize),
) -> StateID {
    for (index, &byte) in range.clone().zip(&bytes[range]) {
        state = automaton.next_state(Anchored::No, state, byte);
        if automaton.is_special(state) && automaton.is_match(state) {
            let lengths = (0..automaton.match_len(state))
                .map(|nth| automaton.pattern_len(automaton.match_pattern(state, nth)));
            found(index + 1, lengths.max().unwrap_or(0));
        }
    }
    state
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn solid<const N: usize>(forms: [&str; N]) -> Forms {
        forms.map(|form| (form.as_bytes().to_vec(), Breaks::Nowhere)).into()
    }

    #[test]
    fn it_tells_apart_what_may_be_broken() {
        let mut forms = solid(["xABCDy", "BCz"]);
        forms.insert(b"ABCD".to_vec(), Breaks::Anywhere);
        let patterns = Patterns::new(&forms);
        let at = patterns.scan(patterns.start(), b"xABC", |_, _| {});
        assert_eq!((patterns.undecided(at), patterns.breakable(at)), (4, 3));
        let (at, ended) = patterns.step(at, b'D');
        assert_eq!((patterns.undecided(at), patterns.breakable(at), ended), (5, 0, 4), "it is whole");
        assert_eq!(patterns.step(at, b'y').1, 0, "what ends here may not be broken");
        assert_eq!(patterns.longest_breakable(), 4);
    }

    #[test]
    fn it_says_what_ends_where_and_what_may_go_on() {
        let patterns = Patterns::new(&solid(["abcd", "cd", "cdef"]));
        let mut found = Vec::new();
        let at = patterns.scan(patterns.start(), b"xabcd", |end, length| found.push((end, length)));
        assert_eq!(found, [(5, 4)]);
        assert_eq!(patterns.undecided(at), 4, "abcd itself is the beginning of a form, and the longest");
        let at = patterns.scan(at, b"e", |_, _| panic!("nothing ends here"));
        assert_eq!(patterns.undecided(at), 3);
        let at = patterns.scan(at, b"f\n", |end, length| assert_eq!((end, length), (1, 4)));
        assert_eq!(patterns.undecided(at), 0);
        assert_eq!(at, patterns.start());
    }
    proptest! {
        /// What is skipped makes no difference.
        #[test]
        fn it_finds_what_an_automaton_finds_that_sees_every_byte(
            forms in prop::collection::btree_set("[ab]{5,9}|[a-d]{6,24}", 1..6),
            text in "[a-e]{0,60}([ab]{0,20}[a-d]{0,20}){0,3}",
            cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..4),
        ) {
            let forms = forms.into_iter().map(|form| (form.into_bytes(), Breaks::Nowhere)).collect();
            let (quick, thorough) =
                (Patterns::new(&forms), Patterns { prefilter: None, ..Patterns::new(&forms) });
            let mut cuts: Vec<_> = cuts.iter().map(|cut| cut.index(text.len() + 1)).chain([0, text.len()]).collect();
            cuts.sort_unstable();
            let see = |patterns: &Patterns| {
                let (mut at, mut seen) = (patterns.start(), Vec::new());
                for pair in cuts.windows(2) {
                    let part = &text.as_bytes()[pair[0]..pair[1]];
                    at = patterns.scan(at, part, |end, length| seen.push((pair[0] + end, length)));
                    seen.push((patterns.undecided(at), 0));
                }
                seen
            };
            prop_assert_eq!(see(&quick), see(&thorough));
        }
    }
}
