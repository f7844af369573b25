//! Where in a text a form may begin: a quick look that misses none, pure.
//!
//! After Wu and Manber: only the last bytes of each window over the text are looked up, and a table says how
//! far the next window may be. With values of usual length that is one look for every fourteen bytes, where
//! an automaton needs a step for each.

use super::encodings::Forms;

/// Bytes that are looked up at a time.
const BLOCK: usize = 3;

/// A longer window skips hardly more: what is looked up then is what may begin a form by chance.
const LONGEST_WINDOW: usize = 16;

/// With a shorter one a step is so small that an automaton is as fast, and it decides as well.
const SHORTEST_WINDOW: usize = 6;

/// Entries of the table: 32 KiB, so that it stays in the processor's nearest cache. A block shares its entry
/// with some others, which costs a look and no mistake.
const BITS: u32 = 15;

/// Of these forms.
#[derive(Debug)]
pub(super) struct Prefilter {
    /// So many bytes of each form are looked at; no form is shorter.
    window: usize,
    /// By how much a window that ends in this block may move on.
    shifts: Box<[u8]>,
}

impl Prefilter {
    /// Nothing where there is no form, or one that is too short for it.
    pub(super) fn new(forms: &Forms) -> Option<Self> {
        let shortest = forms.keys().map(Vec::len).min().filter(|&bytes| bytes >= SHORTEST_WINDOW)?;
        let window = shortest.min(LONGEST_WINDOW);
        let shift = |bytes: usize| u8::try_from(bytes).expect("a window is short");
        let mut shifts = vec![shift(window - BLOCK + 1); 1 << BITS].into_boxed_slice();
        for form in forms.keys() {
            for (at, block) in form[..window].windows(BLOCK).enumerate() {
                let entry = &mut shifts[place(block)];
                *entry = shift(window - BLOCK - at).min(*entry);
            }
        }
        Some(Self { window, shifts })
    }

    /// Bytes behind a place that were looked at before it is given.
    pub(super) const fn window(&self) -> usize {
        self.window
    }

    /// The first place from `from` on where a form may begin. Behind the last whole window one always may.
    pub(super) fn find(&self, bytes: &[u8], from: usize) -> usize {
        let mut at = from;
        while let Some(block) = bytes.get(at + self.window - BLOCK..at + self.window) {
            match self.shifts[place(block)] {
                0 => break,
                shift => at += usize::from(shift),
            }
        }
        at
    }
}

fn place(block: &[u8]) -> usize {
    let number = u32::from_le_bytes([block[0], block[1], block[2], 0]);
    (number.wrapping_mul(0x9e37_79b1) >> (u32::BITS - BITS)) as usize
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mask::encodings::Breaks;

    fn prefilter(forms: &[&str]) -> Option<Prefilter> {
        Prefilter::new(&forms.iter().map(|form| (form.as_bytes().to_vec(), Breaks::Nowhere)).collect())
    }

    #[test]
    fn it_skips_what_no_form_begins_with_and_stops_where_one_does() {
        let prefilter = prefilter(&["hunter22", "a-longer-one"]).unwrap();
        let text = b"there is nothing here but hunter22 at its place";
        assert_eq!(prefilter.find(text, 0), 26);
        let behind = prefilter.find(text, 27);
        assert!(behind > text.len() - 8 && behind <= text.len(), "{behind}");
        assert_eq!(prefilter.find(b"hunt", 0), 0, "it may go on");
    }

    #[test]
    fn without_forms_or_with_one_that_is_too_short_there_is_none() {
        assert!(prefilter(&[]).is_none() && prefilter(&["abcde", "abcdef"]).is_none());
    }
}
