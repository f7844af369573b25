//! How many lines no reader will see, and why.

use std::fmt;

/// Lines that are lost, by reason. There are a handful of reasons.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Losses(Vec<(&'static str, u64)>);

impl Losses {
    /// So many more.
    pub fn add(&mut self, reason: &'static str, lines: u64) {
        match self.0.iter_mut().find(|(known, _)| *known == reason) {
            Some((_, count)) => *count += lines,
            None if lines > 0 => self.0.push((reason, lines)),
            None => {}
        }
    }

    /// In all.
    pub fn total(&self) -> u64 {
        self.0.iter().map(|(_, lines)| lines).sum()
    }
}

impl fmt::Display for Losses {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, (reason, lines)) in self.0.iter().enumerate() {
            write!(f, "{}{reason}: {lines}", if at > 0 { ", " } else { "" })?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_reason_is_told_once_with_all_of_its_lines() {
        let mut losses = Losses::default();
        for (reason, lines) in [("buffer_full", 2), ("refused", 0), ("server_lost", 1), ("buffer_full", 3)] {
            losses.add(reason, lines);
        }
        assert_eq!((losses.total(), &*losses.to_string()), (6, "buffer_full: 5, server_lost: 1"));
    }
}
