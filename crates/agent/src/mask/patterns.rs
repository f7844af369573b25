//! All forms of all values as one automaton, which is fed byte by byte.
//!
//! An automaton says after each byte which forms end there. What it has not decided yet is the longest end
//! of the input with which a form begins: that many bytes have to be held back.

use std::collections::{BTreeSet, HashMap};

use aho_corasick::automaton::{Automaton, StateID};
use aho_corasick::nfa::{contiguous, noncontiguous};
use aho_corasick::{Anchored, MatchKind, dfa};

/// Below this many bytes of forms a DFA is used: it takes one step a byte, and up to 512 bytes of memory for
/// each byte of a form.
const SMALL: usize = 8 << 10;

/// Where an automaton stands between two reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct At(StateID);

/// The forms.
#[derive(Debug)]
pub(super) struct Patterns {
    automaton: Either,
    start: StateID,
    /// Of each state that stands for the beginning of a form: of how many bytes.
    depths: HashMap<StateID, usize>,
}

#[derive(Debug)]
enum Either {
    Fast(dfa::DFA),
    Small(contiguous::NFA),
}

impl Patterns {
    /// Of these forms, each of at least one byte.
    pub(super) fn new(forms: &BTreeSet<Vec<u8>>) -> Self {
        let bytes: usize = forms.iter().map(Vec::len).sum();
        // Overlapping matches are needed, and all states: nothing else has them.
        let nfa = noncontiguous::Builder::new().match_kind(MatchKind::Standard).prefilter(false).build(forms);
        let nfa = nfa.expect("forms are bounded far below what an automaton takes");
        let automaton = if bytes <= SMALL {
            Either::Fast(dfa::Builder::new().build_from_noncontiguous(&nfa).expect("it is small"))
        } else {
            Either::Small(contiguous::Builder::new().build_from_noncontiguous(&nfa).expect("it is bounded"))
        };
        let (start, depths) = match &automaton {
            Either::Fast(dfa) => depths(dfa, forms),
            Either::Small(nfa) => depths(nfa, forms),
        };
        Self { automaton, start, depths }
    }

    /// Before any byte.
    pub(super) fn start(&self) -> At {
        At(self.start)
    }

    /// Goes on from `at` over `bytes`, and tells where a form ends: behind which of these bytes, and how
    /// long the longest form is that does. Gives where it stands afterwards.
    pub(super) fn scan(&self, at: At, bytes: &[u8], found: impl FnMut(usize, usize)) -> At {
        match &self.automaton {
            _ if self.depths.is_empty() => at,
            Either::Fast(dfa) => scan(dfa, at, bytes, found),
            Either::Small(nfa) => scan(nfa, at, bytes, found),
        }
    }

    /// So many of the last bytes may be the beginning of a form.
    pub(super) fn undecided(&self, at: At) -> usize {
        self.depths.get(&at.0).copied().unwrap_or(0)
    }
}

fn depths<A: Automaton>(automaton: &A, forms: &BTreeSet<Vec<u8>>) -> (StateID, HashMap<StateID, usize>) {
    let start = automaton.start_state(Anchored::No).expect("automata are built for searches anywhere");
    let mut depths = HashMap::new();
    for form in forms {
        let mut state = start;
        for (at, &byte) in form.iter().enumerate() {
            state = automaton.next_state(Anchored::No, state, byte);
            depths.insert(state, at + 1);
        }
    }
    (start, depths)
}

#[inline]
fn scan<A: Automaton>(automaton: &A, at: At, bytes: &[u8], mut found: impl FnMut(usize, usize)) -> At {
    let mut state = at.0;
    for (index, &byte) in bytes.iter().enumerate() {
        state = automaton.next_state(Anchored::No, state, byte);
        if automaton.is_special(state) && automaton.is_match(state) {
            let lengths = (0..automaton.match_len(state))
                .map(|nth| automaton.pattern_len(automaton.match_pattern(state, nth)));
            found(index + 1, lengths.max().unwrap_or(0));
        }
    }
    At(state)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_says_what_ends_where_and_what_may_go_on() {
        let patterns = Patterns::new(&["abcd", "cd", "cdef"].map(|form| form.as_bytes().to_vec()).into());
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
}
