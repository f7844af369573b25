//! The lines that matter most, for a bar beside the log: a bounded number, errors before all others.

use super::level::Level;
use crate::line::Sequence;

/// As many as anybody can tell apart on a bar.
const MARKS: usize = 1000;

/// Lines with their levels, in order.
#[derive(Clone, Debug, Default)]
pub(super) struct Marks {
    kept: Vec<(Sequence, Level)>,
    /// Of these, those that are no errors and would make room for one.
    lesser: usize,
}

impl Marks {
    /// One more, behind all others. Where there is no room, the last one that is less serious goes, or this one.
    pub(super) fn add(&mut self, at: Sequence, level: Level) {
        let level = match level {
            Level::Fatal | Level::Error => Level::Error,
            Level::Warning | Level::Notice => level,
            Level::Info | Level::Debug | Level::Trace | Level::Other => return,
        };
        if self.kept.len() == MARKS {
            if level != Level::Error || self.lesser == 0 {
                return;
            }
            if let Some(last) = self.kept.iter().rposition(|(_, level)| *level != Level::Error) {
                self.kept.remove(last);
                self.lesser -= 1;
            }
        }
        self.lesser += usize::from(level != Level::Error);
        self.kept.push((at, level));
    }

    /// All of them.
    pub(super) fn kept(&self) -> &[(Sequence, Level)] {
        &self.kept
    }

    /// What they take up.
    pub(super) fn bytes(&self) -> usize {
        self.kept.capacity() * size_of::<(Sequence, Level)>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_take_the_place_of_what_is_less_serious_and_the_first_ones_stay() {
        let mut marks = Marks::default();
        for at in 1..=2000 {
            marks.add(Sequence::new(at), Level::Info);
            marks.add(Sequence::new(at), Level::Warning);
        }
        assert_eq!((marks.kept.len(), marks.kept[999].0), (1000, Sequence::new(1000)));
        for at in 3001..=5000 {
            marks.add(Sequence::new(at), Level::Fatal);
        }
        assert!(marks.kept.iter().copied().eq((3001..=4000).map(|at| (Sequence::new(at), Level::Error))));
    }
}
