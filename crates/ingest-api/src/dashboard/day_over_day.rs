//! The last full hour, compared with the same hour of the day before.

use jiff::{SignedDuration, Timestamp};
use pisync_core::{models::SyncHour, time::hour_of};

use super::relative_time::{RelativeTime, grouped, percent};

/// The texts about the last full hour.
#[derive(Debug)]
pub(super) struct DayOverDay {
    pub(super) hour: RelativeTime,
    pub(super) syncs: String,
    pub(super) syncs_change: String,
    pub(super) failed: String,
    pub(super) failed_change: String,
}

impl DayOverDay {
    /// Returns `None` if that hour is unknown.
    pub(super) fn of(hours: &[SyncHour], now: Timestamp) -> Option<Self> {
        let back = |by| hour_of(now).checked_sub(SignedDuration::from_hours(by)).ok();
        let at = |hour: Option<Timestamp>| hours.iter().find(|known| Some(known.hour) == hour);
        let hour = at(back(1))?;
        let before = at(back(25)).filter(|before| before.good + before.failed > 0);
        let syncs = hour.good + hour.failed;
        let nothing = || "nothing to compare it with".to_owned();
        Some(Self {
            hour: RelativeTime::new(hour.hour, now),
            syncs: grouped(syncs),
            syncs_change: before.map_or_else(nothing, |before| {
                format!("{} at that hour yesterday", grouped(before.good + before.failed))
            }),
            failed: percent(hour.failed, syncs),
            failed_change: before.map_or_else(nothing, |before| change(hour, before)),
        })
    }
}

/// Returns the change of the failure rate, in percentage points.
#[expect(clippy::cast_precision_loss, reason = "counts are below 2^53")]
fn change(hour: &SyncHour, before: &SyncHour) -> String {
    let share = |hour: &SyncHour| 100.0 * hour.failed as f64 / ((hour.good + hour.failed).max(1)) as f64;
    let points = share(hour) - share(before);
    match format!("{:.1}", points.abs()).as_str() {
        "0.0" => "as at that hour yesterday".into(),
        by if points > 0.0 => format!("\u{25b2} {by} points against that hour yesterday"),
        by => format!("\u{25bc} {by} points against that hour yesterday"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hour(at: &str, good: u64, failed: u64) -> SyncHour {
        let hour: Timestamp = format!("2026-11-{at}:00:00Z").parse().unwrap();
        SyncHour { good, failed, ..SyncHour::empty(hour, hour) }
    }

    fn said(hours: &[SyncHour]) -> Option<[String; 4]> {
        let found = DayOverDay::of(hours, "2026-11-24T12:30:00Z".parse().unwrap())?;
        Some([found.syncs, found.syncs_change, found.failed, found.failed_change])
    }

    #[test]
    fn the_last_full_hour_is_held_against_the_same_one_of_the_day_before() {
        let (running, other) = (hour("24T12", 1, 9), hour("23T12", 7, 7));
        let last = |good, failed| hour("24T11", good, failed);
        for (before, after, change) in [
            (hour("23T11", 90, 10), last(80, 20), "\u{25b2} 10.0 points"),
            (hour("23T11", 80, 20), last(90, 10), "\u{25bc} 10.0 points"),
            (hour("23T11", 80, 20), last(40, 10), "as at that hour"),
            (hour("23T11", 0, 0), last(40, 10), "nothing to compare"),
        ] {
            let said = said(&[other.clone(), before, after, running.clone()]).unwrap();
            assert!(said[3].starts_with(change), "{said:?}");
        }
        let [syncs, before, failed, _] = said(&[hour("23T11", 1_000, 0), last(80, 20)]).unwrap();
        assert_eq!([syncs.as_str(), &failed], ["100", "20 %"]);
        assert_eq!(before, "1\u{202f}000 at that hour yesterday");
        assert!(said(&[other, running]).is_none());
    }
}
