//! The number of devices by status, now and at this hour yesterday.

use jiff::{SignedDuration, Timestamp};
use pisync_core::{
    models::{DeviceStatus, StatusHour},
    store::Store,
    time::hour_of,
};

use super::{
    devices::look,
    relative_time::{RelativeTime, Span, grouped, percent},
};
use crate::http::error::ApiError;

/// A status and its number of devices.
#[derive(Debug)]
pub(super) struct Tile {
    pub(super) status: &'static str,
    pub(super) sign: &'static str,
    pub(super) label: &'static str,
    pub(super) count: String,
    pub(super) share: String,
    /// Explanation of the status, if its word is not enough.
    pub(super) note: String,
    /// Change since yesterday; empty if that is unknown.
    pub(super) change: String,
}

/// All statuses.
#[derive(Debug)]
pub(super) struct StatusCounts {
    pub(super) tiles: Vec<Tile>,
    pub(super) total: String,
    /// Time of the counts of yesterday.
    pub(super) compared: Option<RelativeTime>,
}

/// Returns the counts at this hour yesterday, if there are any.
pub(super) async fn of_yesterday(store: &Store, now: Timestamp) -> Result<Option<StatusHour>, ApiError> {
    let hour = hour_of(now).checked_sub(SignedDuration::from_hours(24)).unwrap_or(Timestamp::MIN);
    Ok(store.status_hours().find(hour).await?)
}

impl StatusCounts {
    /// Returns the present counts; `silent_after` is for the explanation of silent.
    pub(super) fn of(
        counts: &[(DeviceStatus, u64)],
        silent_after: SignedDuration,
        yesterday: Option<&StatusHour>,
        now: Timestamp,
    ) -> Self {
        let total = counts.iter().map(|(_, count)| count).sum();
        let tile = |(status, count): &(DeviceStatus, u64)| {
            let (sign, label) = look(*status);
            Tile {
                status: status.as_str(),
                sign,
                label,
                count: grouped(*count),
                share: percent(*count, total),
                note: match status {
                    DeviceStatus::Silent => format!(", for over {}", Span(silent_after.as_secs())),
                    DeviceStatus::Failing | DeviceStatus::ClockSuspect | DeviceStatus::Ok => String::new(),
                },
                change: yesterday.map(|before| change(*count, before.count(*status))).unwrap_or_default(),
            }
        };
        Self {
            tiles: counts.iter().map(tile).collect(),
            total: grouped(total),
            compared: yesterday.map(|yesterday| RelativeTime::new(yesterday.taken_at, now)),
        }
    }
}

fn change(now: u64, before: u64) -> String {
    match now.cmp(&before) {
        std::cmp::Ordering::Greater => format!("\u{25b2} {} more than yesterday", grouped(now - before)),
        std::cmp::Ordering::Less => format!("\u{25bc} {} fewer than yesterday", grouped(before - now)),
        std::cmp::Ordering::Equal => "as many as yesterday".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: SignedDuration = SignedDuration::from_hours(24);

    #[test]
    fn each_state_is_held_against_yesterday_and_where_that_is_not_known_nothing_is_said() {
        let now: Timestamp = "2026-11-24T12:30:00Z".parse().unwrap();
        let day_ago = now - DAY;
        let counts: Vec<_> = DeviceStatus::ALL.into_iter().zip([5, 0, 2, 1_993]).collect();
        let yesterday = StatusHour { hour: hour_of(day_ago), taken_at: day_ago, counts: [2, 1_200, 2, 796] };
        let changes = |states: StatusCounts| states.tiles.into_iter().map(|tile| tile.change).collect::<Vec<_>>();
        assert_eq!(
            changes(StatusCounts::of(&counts, DAY, Some(&yesterday), now)),
            [
                "\u{25b2} 3 more than yesterday",
                "\u{25bc} 1\u{202f}200 fewer than yesterday",
                "as many as yesterday",
                "\u{25b2} 1\u{202f}197 more than yesterday"
            ]
        );
        let states = StatusCounts::of(&counts, DAY, None, now);
        assert_eq!(states.tiles[1].note, ", for over 24 h");
        assert!(states.compared.is_none());
        assert_eq!(changes(states), [""; 4]);
    }
}
