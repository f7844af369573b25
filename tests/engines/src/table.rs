//! The table that everything ends up in: a row for each figure, a column for each engine.

use std::fmt;
use std::time::Duration;

use crate::engine::Kind;

/// What was measured, rows in the order of measuring.
pub(crate) struct Table {
    columns: Vec<Kind>,
    rows: Vec<(String, Vec<String>)>,
}

impl Table {
    /// With these columns.
    pub(crate) fn new(columns: Vec<Kind>) -> Self {
        Self { columns, rows: Vec::new() }
    }

    /// Writes a figure of `kind` into the row of that name.
    pub(crate) fn set(&mut self, row: &str, kind: Kind, figure: String) {
        eprintln!("{kind}: {row}: {figure}");
        let column = self.columns.iter().position(|column| *column == kind).expect("it is a column");
        let at = self.rows.iter().position(|(name, _)| name == row).unwrap_or_else(|| {
            self.rows.push((row.to_owned(), vec![String::new(); self.columns.len()]));
            self.rows.len() - 1
        });
        self.rows[at].1[column] = figure;
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let columns: Vec<String> = self.columns.iter().map(ToString::to_string).collect();
        writeln!(f, "| what | {} |", columns.join(" | "))?;
        writeln!(f, "|---{}|", "|---".repeat(columns.len()))?;
        self.rows.iter().try_for_each(|(name, figures)| writeln!(f, "| {name} | {} |", figures.join(" | ")))
    }
}

/// Durations in order.
pub(crate) struct Steps(Vec<Duration>);

impl Steps {
    pub(crate) fn new(mut steps: Vec<Duration>) -> Self {
        steps.sort_unstable();
        Self(steps)
    }

    /// Zero where there are none.
    pub(crate) fn percentile(&self, percent: usize) -> Duration {
        let last = self.0.len().saturating_sub(1);
        self.0.get(last * percent / 100).copied().unwrap_or_default()
    }

    pub(crate) fn total(&self) -> Duration {
        self.0.iter().sum()
    }
}

impl fmt::Display for Steps {
    /// p50, p99 and the longest in milliseconds, and how many there were.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [p50, p99, max] = [50, 99, 100].map(|percent| millis(self.percentile(percent)));
        write!(f, "{p50} / {p99} / {max}")
    }
}

/// Milliseconds, to what makes sense of their size.
pub(crate) fn millis(duration: Duration) -> String {
    let millis = duration.as_secs_f64() * 1e3;
    if millis < 1.0 {
        format!("{millis:.3}")
    } else if millis < 100.0 {
        format!("{millis:.1}")
    } else {
        format!("{millis:.0}")
    }
}

/// Mega, not mebi.
#[allow(clippy::cast_precision_loss, reason = "figures are shown to three digits")]
pub(crate) fn megabytes(bytes: u64) -> f64 {
    bytes as f64 / 1e6
}

/// `part` of `whole`.
#[allow(clippy::cast_precision_loss, reason = "figures are shown to three digits")]
pub(crate) fn ratio(part: u64, whole: u64) -> f64 {
    part as f64 / whole as f64
}
