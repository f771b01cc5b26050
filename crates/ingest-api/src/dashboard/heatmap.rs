//! The hours of a device over 30 days, as a picture without a script.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp, tz::TimeZone};
use pisync_core::{
    store::StoredEvent,
    time::{day_of, hour_of},
};

/// Number of days, today included.
pub(super) const DAYS: i64 = 30;

/// The syncs of an hour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Hour {
    /// No reports, or the hour is in the future.
    None,
    Good,
    Mixed,
    Failed,
}

/// Adjacent hours of one day with the same outcome.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Cell {
    pub(super) x: i64,
    pub(super) y: i64,
    pub(super) width: i64,
    pub(super) class: &'static str,
}

/// The picture, and its content in words.
#[derive(Debug, Default)]
pub(super) struct Heatmap {
    pub(super) cells: Vec<Cell>,
    pub(super) height: i64,
    pub(super) first_day: String,
    pub(super) last_day: String,
    pub(super) good: usize,
    pub(super) failed: usize,
}

/// Width and height of a cell, in the picture's own units.
const WIDTH: i64 = 12;
const HEIGHT: i64 = 8;

/// Returns the start of the first day.
pub(super) fn start(now: Timestamp) -> Timestamp {
    day_of(now).checked_sub(SignedDuration::from_hours(24 * (DAYS - 1))).unwrap_or(Timestamp::MIN)
}

impl Heatmap {
    /// Returns the picture of these rows, one day per line, the oldest at the top.
    pub(super) fn of(rows: &[StoredEvent], now: Timestamp) -> Self {
        let start = start(now);
        let mut hours = BTreeMap::<Timestamp, Hour>::new();
        for row in rows.iter().filter(|row| (start..=now).contains(&row.timestamp)) {
            let found = if row.total_errors > 0 { Hour::Failed } else { Hour::Good };
            let hour = hours.entry(hour_of(row.timestamp)).or_insert(found);
            if *hour != found {
                *hour = Hour::Mixed;
            }
        }
        let at = |place: i64| start.checked_add(SignedDuration::from_hours(place)).unwrap_or(start);
        let hour = |place| hours.get(&at(place)).copied().unwrap_or(Hour::None);
        let mut cells = Vec::<Cell>::new();
        for place in 0..24 * DAYS {
            let (x, y, class) = (place % 24 * WIDTH, place / 24 * HEIGHT, hour(place).class());
            match cells.last_mut().filter(|last| last.y == y && last.class == class) {
                Some(last) => last.width += WIDTH,
                None => cells.push(Cell { x, y, width: WIDTH, class }),
            }
        }
        cells.retain(|cell| cell.class != Hour::None.class());
        let day = |at: Timestamp| at.to_zoned(TimeZone::UTC).strftime("%d %b").to_string();
        let count = |wanted: &[Hour]| hours.values().filter(|hour| wanted.contains(hour)).count();
        Self {
            cells,
            height: DAYS * HEIGHT,
            first_day: day(start),
            last_day: day(now),
            good: count(&[Hour::Good]),
            failed: count(&[Hour::Failed, Hour::Mixed]),
        }
    }
}

impl Hour {
    fn class(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Good => "good",
            Self::Mixed => "mixed",
            Self::Failed => "failed",
        }
    }
}

#[cfg(test)]
mod tests {
    use pisync_core::models::{Details, EventId};

    use super::*;

    fn row(time: &str, errors: i64) -> StoredEvent {
        let at: Timestamp = format!("2026-{time}Z").parse().unwrap();
        StoredEvent {
            id: EventId::lowest(at),
            device_id: "a".into(),
            timestamp: at,
            total_files_synced: 1,
            total_errors: errors,
            internet_speed: 1.0,
            details: Details::default(),
            device_timestamp: None,
            clock_agrees: false,
            created_at: at,
            updated_at: at,
        }
    }

    #[test]
    fn a_line_is_a_day_and_hours_that_are_alike_are_one_cell() {
        let rows = [
            row("11-24T10:05:00", 0),
            row("11-24T11:05:00", 0),
            row("11-24T12:05:00", 1),
            row("11-24T12:25:00", 0),
            row("10-26T00:00:00", 7),
            row("10-25T23:59:59", 7),
            row("11-24T13:00:00", 7),
        ];
        let strip = Heatmap::of(&rows, "2026-11-24T12:30:00Z".parse().unwrap());
        let cell = |x, y, width, class| Cell { x: x * WIDTH, y: y * HEIGHT, width: width * WIDTH, class };
        assert_eq!(strip.cells, [cell(0, 0, 1, "failed"), cell(10, 29, 2, "good"), cell(12, 29, 1, "mixed")]);
        assert_eq!((strip.good, strip.failed), (2, 2));
        assert_eq!((strip.first_day.as_str(), strip.last_day.as_str()), ("26 Oct", "24 Nov"));
    }
}
