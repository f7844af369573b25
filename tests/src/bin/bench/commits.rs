//! What of a latency the disk took: the server's own histogram of its commits.

use anyhow::{Context, Result};
use ottoscaler_tests::ingest::Ingest;

const BUCKETS: &str = "otto_ingest_commit_seconds_bucket{le=\"";

/// How long the commits of `ingest` took so far, each the write and the sync of one group.
pub(crate) async fn said(ingest: &Ingest) -> Result<String> {
    let url = format!("http://{}/metrics", ingest.admin());
    let text = reqwest::get(&url).await?.error_for_status()?.text().await?;
    summary(&text).with_context(|| format!("{url} has no {BUCKETS}"))
}

/// The bounds of the buckets that hold the p99 and the slowest.
fn summary(metrics: &str) -> Option<String> {
    let buckets: Vec<(f64, u64)> = metrics.lines().filter_map(bucket).collect();
    let count = buckets.last()?.1;
    let within = |commits: u64| Some(buckets.iter().find(|(_, below)| *below >= commits)?.0 * 1000.0);
    let (p99, max) = (within(count - count / 100)?, within(count)?);
    Some(format!("p99 ≤ {p99:.1} ms, max ≤ {max:.1} ms ({count} commits)"))
}

/// Its bound in seconds, and how many were no longer than that.
fn bucket(line: &str) -> Option<(f64, u64)> {
    let (bound, count) = line.strip_prefix(BUCKETS)?.split_once("\"} ")?;
    let bound = if bound == "+Inf" { f64::INFINITY } else { bound.parse().ok()? };
    Some((bound, count.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_slowest_commit_is_in_the_first_bucket_that_has_all() {
        let metrics = "otto_ingest_commit_seconds_count 200\n\
            otto_ingest_commit_seconds_bucket{le=\"0.001\"} 190\n\
            otto_ingest_commit_seconds_bucket{le=\"0.002\"} 198\n\
            otto_ingest_commit_seconds_bucket{le=\"0.2\"} 200\n\
            otto_ingest_commit_seconds_bucket{le=\"+Inf\"} 200\n";
        assert_eq!(summary(metrics).as_deref(), Some("p99 ≤ 2.0 ms, max ≤ 200.0 ms (200 commits)"));
        assert_eq!(summary(""), None);
    }
}
