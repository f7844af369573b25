//! Histograms of durations, and the table that everything ends up in.

use std::fmt;
use std::time::Duration;

use hdrhistogram::Histogram;

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
}

impl fmt::Display for Durations {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [p50, p99, max] = [0.5, 0.99, 1.0].map(|q| self.quantile(q).as_secs_f64() * 1000.0);
        write!(f, "p50 {p50:.2} ms, p99 {p99:.2} ms, max {max:.2} ms ({} samples)", self.0.len())
    }
}

/// What was measured, in the order of measuring.
#[derive(Default)]
pub(crate) struct Table(Vec<[String; 2]>);

impl Table {
    pub(crate) fn row(&mut self, what: impl Into<String>, figure: impl Into<String>) {
        let row = [what.into(), figure.into()];
        eprintln!("{}: {}", row[0], row[1]);
        self.0.push(row);
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "\n| what | figure |\n|---|---|")?;
        self.0.iter().try_for_each(|[what, figure]| writeln!(f, "| {what} | {figure} |"))
    }
}

/// `count` in `elapsed`, as a rate.
pub(crate) fn rate(count: u64, elapsed: Duration) -> String {
    #[allow(clippy::cast_precision_loss, reason = "a rate is shown to three digits")]
    let rate = count as f64 / elapsed.as_secs_f64();
    if rate >= 1e6 { format!("{:.2} M/s", rate / 1e6) } else { format!("{:.0} k/s", rate / 1e3) }
}
