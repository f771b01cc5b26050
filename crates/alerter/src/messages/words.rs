//! Numbers, times and durations for people.

use std::time::Duration;

use jiff::Timestamp;
use pisync_core::models::Alert;

/// The maximum length of a name in a headline, in characters.
const LONGEST_NAME: usize = 22;

/// Returns the subject of an alert for people.
pub(crate) fn subject(alert: &Alert) -> String {
    let part = || alert.scope().map(ToString::to_string);
    alert.device_id().map(ToString::to_string).or_else(part).unwrap_or_else(|| "the fleet".to_owned())
}

/// Returns a name that fits into a headline: the beginning and the end of a long one.
pub(super) fn short(name: &str) -> String {
    let (letters, end) = (name.chars().count(), LONGEST_NAME / 2);
    if letters <= LONGEST_NAME {
        return name.to_owned();
    }
    let beginning: String = name.chars().take(LONGEST_NAME - end - 1).collect();
    beginning + "…" + &name.chars().skip(letters - end).collect::<String>()
}

/// Returns a duration in its two largest units.
pub(crate) fn in_words(length: Duration) -> String {
    let minutes = length.as_secs() / 60;
    let (days, hours, minutes) = (minutes / 1_440, minutes / 60 % 24, minutes % 60);
    match (days, hours) {
        (0, 0) => format!("{minutes} min"),
        (0, _) => format!("{hours} h {minutes} min"),
        _ => format!("{days} d {hours} h"),
    }
}

/// Returns a time to the minute, in UTC, with the zone's name.
pub(crate) fn minute(at: Timestamp) -> String {
    at.strftime("%Y-%m-%d %H:%M UTC").to_string()
}

/// Returns a number with at most two decimals.
pub(super) fn round(number: f64) -> String {
    let text = format!("{number:.2}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// Returns a share in percent, never rounded up to all of it.
#[expect(clippy::cast_precision_loss, reason = "counts are below 2^53")]
pub(super) fn percent(part: i64, whole: i64) -> String {
    if whole == 0 {
        return "none".to_owned();
    }
    let share = (1_000.0 * part as f64 / whole as f64).floor() / 10.0;
    format!("{share:.1} %")
}
