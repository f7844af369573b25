//! Histograms of durations, and the table that everything ends up in.

use std::fmt;
use std::time::Duration;

use hdrhistogram::Histogram;

use crate::target::{Mark, Target};

/// Durations from a microsecond to a minute, to three digits.
pub(crate) struct Durations(Histogram<u64>);

impl Durations {
    pub(crate) fn new() -> Self {
        Self(Histogram::new_with_bounds(1, 60_000_000, 3).expect("the bounds are valid"))
    }

    pub(crate) fn record(&mut self, duration: Duration) {
        self.0.saturating_record(u64::try_from(duration.as_micros()).unwrap_or(u64::MAX));
    }

    pub(crate) fn quantile(&self, quantile: f64) -> Duration {
        Duration::from_micros(self.0.value_at_quantile(quantile))
    }

    /// Milliseconds by which the p99 is above `limit`.
    pub(crate) fn p99_beyond(&self, limit: Duration) -> f64 {
        (self.quantile(0.99).as_secs_f64() - limit.as_secs_f64()) * 1000.0
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Takes in what another one holds.
    pub(crate) fn add(&mut self, other: &Self) {
        self.0.add(&other.0).expect("all have the same bounds");
    }
}

impl fmt::Display for Durations {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [p50, p99, p999, max] =
            [0.5, 0.99, 0.999, 1.0].map(|quantile| self.quantile(quantile).as_secs_f64() * 1000.0);
        let samples = self.0.len();
        write!(f, "p50 {p50:.2} ms, p99 {p99:.2} ms, p99.9 {p999:.2} ms, max {max:.2} ms ({samples} samples)")
    }
}

/// What was measured, in the order of measuring.
#[derive(Default)]
pub(crate) struct Table {
    rows: Vec<[String; 2]>,
    marks: Vec<Mark>,
}

impl Table {
    pub(crate) fn row(&mut self, what: impl Into<String>, figure: impl Into<String>) {
        let row = [what.into(), figure.into()];
        eprintln!("{}: {}", row[0], row[1]);
        self.rows.push(row);
    }

    /// A figure that has a goal.
    pub(crate) fn mark(&mut self, target: Target, figure: f64) {
        let mark = Mark { target, figure };
        eprintln!("{}: {mark}", target.goal().what);
        self.marks.push(mark);
    }

    /// The marks of this run.
    pub(crate) fn marks(&self) -> &[Mark] {
        &self.marks
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "| what | figure |\n|---|---|")?;
        self.rows.iter().try_for_each(|[what, figure]| writeln!(f, "| {what} | {figure} |"))
    }
}

/// `count` in `elapsed`, as a rate.
pub(crate) fn rate(count: u64, elapsed: Duration) -> String {
    short(per_second(count, elapsed))
}

/// `count` in `elapsed`; of something that took no time that could be measured, nothing can be said.
#[allow(clippy::cast_precision_loss, reason = "a rate is shown to three digits")]
pub(crate) fn per_second(count: u64, elapsed: Duration) -> f64 {
    if elapsed.is_zero() { f64::NAN } else { count as f64 / elapsed.as_secs_f64() }
}

/// A rate to three digits.
pub(crate) fn short(rate: f64) -> String {
    match rate {
        rate if rate.is_nan() => "too little to measure".to_owned(),
        rate if rate >= 1e6 => format!("{:.2} M/s", rate / 1e6),
        rate if rate >= 1e4 => format!("{:.0} k/s", rate / 1e3),
        rate if rate >= 1e3 => format!("{:.2} k/s", rate / 1e3),
        rate => format!("{rate:.0} /s"),
    }
}

/// Bytes as MiB.
#[allow(clippy::cast_precision_loss, reason = "a size is shown to three digits")]
pub(crate) fn mib(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}
