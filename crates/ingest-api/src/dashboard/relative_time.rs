//! Times on the pages, in UTC and as an age; a script converts them to the viewer's zone.

use std::fmt;

use jiff::Timestamp;
pub(super) use pisync_core::text::grouped;
use pisync_core::time::rfc3339;

/// A time on a page.
#[derive(Debug, Clone)]
pub(super) struct RelativeTime {
    /// In RFC 3339, for machines.
    pub(super) iso: String,
    /// In UTC, for people without a script.
    pub(super) utc: String,
    /// The age in words.
    pub(super) ago: String,
}

impl RelativeTime {
    /// Returns a past time.
    pub(super) fn new(at: Timestamp, now: Timestamp) -> Self {
        let ago = match now.as_second() - at.as_second() {
            seconds if seconds < -60 => format!("in {}", Span(-seconds)),
            seconds => format!("{} ago", Span(seconds.max(0))),
        };
        Self { iso: rfc3339(at), utc: at.strftime("%d %b %H:%M UTC").to_string(), ago }
    }

    /// Returns a future time.
    pub(super) fn ahead(at: Timestamp, now: Timestamp) -> Self {
        let left = at.as_second() - now.as_second();
        Self { ago: if left > 0 { format!("in {}", Span(left)) } else { "now".into() }, ..Self::new(at, now) }
    }
}

/// A number of seconds, in the largest unit that fits.
#[derive(Debug, Clone, Copy)]
pub(super) struct Span(pub(super) i64);

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            seconds @ ..100 => write!(f, "{seconds} s"),
            seconds @ 100..6_000 => write!(f, "{} min", seconds / 60),
            seconds @ 6_000..172_800 => write!(f, "{} h", seconds / 3_600),
            seconds => write!(f, "{} days", seconds / 86_400),
        }
    }
}

/// Returns a share as a percentage.
#[expect(clippy::cast_precision_loss, reason = "counts are below 2^53")]
pub(super) fn percent(part: u64, whole: u64) -> String {
    if part == 0 || whole == 0 {
        return "0 %".into();
    }
    match 100.0 * part as f64 / whole as f64 {
        share if share < 0.1 => "< 0.1 %".into(),
        share if share < 10.0 => format!("{share:.1} %"),
        share => format!("{share:.0} %"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_and_numbers_are_said_in_the_unit_that_fits() {
        let spans = [0, 99, 100, 5_999, 6_000, 172_799, 172_800].map(|seconds| Span(seconds).to_string());
        assert_eq!(spans, ["0 s", "99 s", "1 min", "99 min", "1 h", "47 h", "2 days"]);
        assert_eq!([0, 999, 1_000, 1_234_567].map(grouped), ["0", "999", "1\u{202f}000", "1\u{202f}234\u{202f}567"]);
        assert_eq!(
            [(0, 9), (1, 10_000), (1, 20), (1, 2)].map(|(a, b)| percent(a, b)),
            ["0 %", "< 0.1 %", "5.0 %", "50 %"]
        );
        let now = Timestamp::from_second(1_000).unwrap();
        let ago = |second| RelativeTime::new(Timestamp::from_second(second).unwrap(), now).ago;
        let ahead = |second| RelativeTime::ahead(Timestamp::from_second(second).unwrap(), now).ago;
        assert_eq!([ahead(1_000), ahead(1_030), ahead(2_000)], ["now", "in 30 s", "in 16 min"]);
        assert_eq!([ago(990), ago(1_010), ago(2_000)], ["10 s ago", "0 s ago", "in 16 min"]);
    }
}
