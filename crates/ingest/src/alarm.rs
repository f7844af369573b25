//! Something that is wrong for a while: told once when it begins and once when it ends, and shown by a gauge meanwhile.

use prometheus_client::metrics::gauge::Gauge;

/// Whether it is wrong now.
#[derive(Debug)]
pub struct Alarm {
    is_on: bool,
    gauge: Gauge,
}

impl Alarm {
    /// All is well at first; `gauge` is 1 for as long as it is not.
    pub fn new(gauge: Gauge) -> Self {
        Self { is_on: false, gauge }
    }

    /// How it is now; whether that is to be told, because it was not so before.
    pub fn set(&mut self, is_on: bool) -> bool {
        self.gauge.set(i64::from(is_on));
        std::mem::replace(&mut self.is_on, is_on) != is_on
    }

    /// How it was last.
    pub const fn is_on(&self) -> bool {
        self.is_on
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_change_is_told_once_and_the_gauge_shows_how_it_is() {
        let gauge = Gauge::default();
        let mut alarm = Alarm::new(gauge.clone());
        for (is_on, is_told) in [(false, false), (true, true), (true, false), (false, true), (false, false)] {
            assert_eq!(alarm.set(is_on), is_told);
            assert_eq!((alarm.is_on(), gauge.get()), (is_on, i64::from(is_on)));
        }
    }
}
