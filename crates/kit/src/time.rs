//! Durations, as people write them: `500ms`, `30s`, `10min`, `1h 30m`, `30d`.

use std::time::Duration;

use jiff::{SignedDuration, Span, SpanRelativeTo};

/// Reads a duration with its unit; for clap's `value_parser`.
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    let expected = || "expected a duration with its unit, such as 500ms, 30s, 10min, 1h or 30d".to_owned();
    let span: Span = text.trim().parse().map_err(|_| expected())?;
    // Months and years are refused: nobody says how long they are.
    let signed = span.to_duration(SpanRelativeTo::days_are_24_hours()).map_err(|_| expected())?;
    Duration::try_from(signed).map_err(|_| "must not be negative".to_owned())
}

/// Shows a duration so that [`parse_duration`] reads it again; for clap's defaults.
pub fn show_duration(duration: Duration) -> String {
    SignedDuration::try_from(duration).map_or_else(|_| format!("{duration:?}"), |d| format!("{d:#}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_need_a_unit_and_are_never_negative() {
        assert_eq!(parse_duration("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(parse_duration("10 min"), Ok(Duration::from_mins(10)));
        assert_eq!(parse_duration("1h 30m"), Ok(Duration::from_mins(90)));
        assert_eq!(parse_duration("30d"), Ok(Duration::from_hours(720)));
        assert_eq!(parse_duration("0s"), Ok(Duration::ZERO));
        for text in ["", "30", "soon", "-5s", "1 month"] {
            assert!(parse_duration(text).is_err(), "{text}");
        }
    }

    #[test]
    fn what_is_shown_can_be_read_again() {
        for millis in [0, 1, 500, 30_000, 600_000, 5_400_001] {
            let duration = Duration::from_millis(millis);
            assert_eq!(parse_duration(&show_duration(duration)), Ok(duration));
        }
    }
}
