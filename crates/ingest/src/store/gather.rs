//! A group on its way to the disk: what is made for it stands in one buffer, and the bytes of lines stay in those
//! that they were received in. The disk gets them all in one go, and nobody copies them before.

use std::io::IoSlice;

use bytes::Bytes;

/// Less than this is copied: to remember where it is would cost as much.
const LENT: usize = 4 << 10;

/// Bytes that stand one after another.
#[derive(Default)]
pub(super) struct Gathered {
    own: Vec<u8>,
    /// Bytes that are elsewhere, and how many of `own` stand before them.
    lent: Vec<(usize, Bytes)>,
    lent_bytes: usize,
}

impl Gathered {
    /// How many.
    pub(super) fn len(&self) -> usize {
        self.own.len() + self.lent_bytes
    }

    /// Where bytes that are made now are appended. None of those that are there may be removed.
    pub(super) fn own(&mut self) -> &mut Vec<u8> {
        &mut self.own
    }

    /// Appends bytes that are there already.
    pub(super) fn lend(&mut self, bytes: Bytes) {
        if bytes.len() < LENT {
            return self.own.extend_from_slice(&bytes);
        }
        self.lent_bytes += bytes.len();
        self.lent.push((self.own.len(), bytes));
    }

    /// All of it.
    pub(super) fn parts(&self) -> Vec<IoSlice<'_>> {
        let mut parts = Vec::with_capacity(2 * self.lent.len() + 1);
        let mut from = 0;
        for (before, bytes) in &self.lent {
            parts.push(IoSlice::new(&self.own[from..*before]));
            parts.push(IoSlice::new(bytes));
            from = *before;
        }
        parts.push(IoSlice::new(&self.own[from..]));
        parts
    }

    /// Begins anew, in the same memory.
    pub(super) fn clear(&mut self) {
        self.own.clear();
        self.lent.clear();
        self.lent_bytes = 0;
    }

    /// All of it in one piece.
    #[cfg(any(test, fuzzing))]
    pub(super) fn concat(&self) -> Vec<u8> {
        self.parts().iter().flat_map(|part| part.iter().copied()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_stand_in_the_order_in_which_they_came_copied_or_not() {
        let mut gathered = Gathered::default();
        for round in 0..2 {
            let large = [Bytes::from(vec![1; LENT]), Bytes::from(vec![4; LENT + 1])];
            gathered.lend(large[0].clone());
            gathered.own().extend_from_slice(&[2, 2]);
            gathered.lend(Bytes::from_static(&[3]));
            gathered.lend(large[1].clone());
            assert_eq!(gathered.lent.len(), 2, "round {round}");
            let expected = [&large[0][..], &[2, 2, 3], &large[1]].concat();
            assert_eq!((gathered.concat(), gathered.len()), (expected.clone(), expected.len()));
            gathered.clear();
            assert_eq!((gathered.concat(), gathered.len()), (Vec::new(), 0));
        }
    }
}
