//! What was made of logs, by log: a bounded number and size of it. What was not asked for longest goes first.

use std::collections::HashMap;
use std::hash::Hash;

/// How much is kept.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    pub(super) entries: usize,
    pub(super) bytes: usize,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Kept<K, V> {
    limits: Limits,
    entries: HashMap<K, Entry<V>>,
    bytes: usize,
    uses: u64,
}

#[derive(Debug)]
struct Entry<V> {
    value: V,
    bytes: usize,
    /// The number of its last use.
    used: u64,
}

impl<K: Clone + Eq + Hash, V: Clone> Kept<K, V> {
    /// Nothing yet.
    pub(super) fn new(limits: Limits) -> Self {
        Self { limits, entries: HashMap::new(), bytes: 0, uses: 0 }
    }

    /// What is kept by this name, if anything is.
    pub(super) fn find(&mut self, key: &K) -> Option<V> {
        self.uses += 1;
        let entry = self.entries.get_mut(key)?;
        entry.used = self.uses;
        Some(entry.value.clone())
    }

    /// Keeps a value, of no size yet. How many others had to go.
    pub(super) fn insert(&mut self, key: K, value: V) -> u64 {
        self.uses += 1;
        let entry = Entry { value, bytes: 0, used: self.uses };
        if let Some(before) = self.entries.insert(key, entry) {
            self.bytes -= before.bytes;
        }
        self.evict()
    }

    /// Notes what the value takes up, where it is the one that is kept. How many others had to go, or it alone.
    pub(super) fn resize(&mut self, key: &K, is_same: impl FnOnce(&V) -> bool, bytes: usize) -> u64 {
        let Some(entry) = self.entries.get_mut(key).filter(|entry| is_same(&entry.value)) else { return 0 };
        self.bytes = self.bytes - entry.bytes + bytes;
        entry.bytes = bytes;
        self.evict()
    }

    fn evict(&mut self) -> u64 {
        let mut evicted = 0;
        while self.entries.len() > self.limits.entries || self.bytes > self.limits.bytes {
            let oldest = self.entries.iter().min_by_key(|(_, entry)| entry.used).map(|(key, _)| key.clone());
            let Some(entry) = oldest.and_then(|key| self.entries.remove(&key)) else { break };
            self.bytes -= entry.bytes;
            evicted += 1;
        }
        evicted
    }

    /// What all of it takes up.
    pub(super) const fn bytes(&self) -> usize {
        self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept() -> Kept<u32, char> {
        Kept::new(Limits { entries: 3, bytes: 100 })
    }

    #[test]
    fn p6_what_was_not_asked_for_longest_goes_first_where_there_are_too_many() {
        let mut kept = kept();
        let evicted: u64 =
            [(1, 'a'), (2, 'b'), (3, 'c')].map(|(key, value)| kept.insert(key, value)).iter().sum();
        assert_eq!((evicted, kept.find(&1)), (0, Some('a')));
        assert_eq!(kept.insert(4, 'd'), 1);
        assert_eq!([1, 2, 3, 4].map(|key| kept.find(&key)), [Some('a'), None, Some('c'), Some('d')]);
    }

    #[test]
    fn p6_what_is_too_large_in_all_goes_and_what_is_not_kept_any_more_counts_for_nothing() {
        let mut kept = kept();
        kept.insert(1, 'a');
        kept.insert(2, 'b');
        assert_eq!((kept.resize(&1, |_| true, 60), kept.resize(&2, |_| true, 40), kept.bytes()), (0, 0, 100));
        assert_eq!((kept.resize(&2, |_| true, 41), kept.find(&1), kept.bytes()), (1, None, 41));
        assert_eq!((kept.resize(&2, |value| *value == 'x', 1), kept.resize(&1, |_| true, 1)), (0, 0));
        assert_eq!((kept.resize(&2, |_| true, 101), kept.bytes()), (1, 0));
        kept.insert(3, 'c');
        kept.resize(&3, |_| true, 50);
        kept.insert(3, 'd');
        assert_eq!((kept.find(&3), kept.bytes()), (Some('d'), 0));
    }
}
