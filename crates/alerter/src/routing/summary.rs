//! `[summary]`: the receivers of the weekly summary, its time, and its week.

use std::collections::BTreeSet;

use jiff::{
    SignedDuration, Span, Timestamp,
    civil::{Date, Weekday},
    fmt::strtime::BrokenDownTime,
    tz::TimeZone,
};
use pisync_core::time::hour_of;
use serde::{Deserialize, Deserializer};

use super::Names;
use crate::{
    receivers::{Reader, log},
    tables::{Table, Texts, values},
};

/// The keys of the file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Settings {
    receivers: Option<Texts>,
    #[serde(default, deserialize_with = "day")]
    day: Option<Weekday>,
    #[serde(default, deserialize_with = "hour")]
    hour: Option<i8>,
    #[serde(default, deserialize_with = "values::zone")]
    zone: Option<TimeZone>,
}

/// The time for which a summary is due, as long as any message is retried. A summary is skipped if no alerter
/// ran then, or if it was configured later.
const LASTS: SignedDuration = SignedDuration::from_hours(24);

/// The `[summary]` of the config.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// The names of the receivers.
    pub receivers: BTreeSet<String>,
    /// The day of the week on which it is due.
    pub day: Weekday,
    /// The hour of that day, 0 to 23.
    pub hour: i8,
    /// The time zone of the day and the hour.
    pub zone: TimeZone,
}

/// A summary that is due.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Due {
    /// The ISO week in which the seven days end.
    pub week: String,
    /// The ISO week of the seven days before them.
    pub week_before: String,
    /// Time at which it became due, UTC.
    pub at: Timestamp,
    /// Start of the seven days, in whole hours, UTC.
    pub from: Timestamp,
    /// End of the seven days, UTC.
    pub to: Timestamp,
    /// Start of the seven days before them, UTC.
    pub from_before: Timestamp,
}

impl Plan {
    pub(super) fn read(table: &mut Table<'_>, names: &Names<'_>) -> Option<Self> {
        let Settings { receivers, day, hour, zone } = table.read()?;
        let receivers = table.need("receivers", receivers).map(Texts::into_vec);
        for name in receivers.iter().flatten() {
            if let Some(what) = refusal(name, names) {
                table.fault("receivers", format!("{name:?} {what}"));
            }
        }
        let (day, hour) = (table.need("day", day), table.need("hour", hour));
        let zone = zone.unwrap_or(TimeZone::UTC);
        Some(Self { receivers: receivers?.into_iter().collect(), day: day?, hour: hour?, zone })
    }

    /// Returns the summary that is due, about the seven days before its day.
    pub fn due(&self, now: Timestamp) -> Option<Due> {
        let today = now.to_zoned(self.zone.clone()).date();
        let back = i64::from(today.weekday().since(self.day));
        let this = days_before(today, back)?;
        // On this day of the week; before its hour, on the same day a week ago.
        [this, days_before(this, 7)?].into_iter().find_map(|day| {
            let at = day.at(self.hour, 0, 0, 0).to_zoned(self.zone.clone()).ok()?.timestamp();
            let is_due = at <= now && now.duration_since(at) < LASTS;
            is_due.then(|| self.of(day, at)).flatten()
        })
    }

    fn of(&self, day: Date, at: Timestamp) -> Option<Due> {
        let midnight = |back| Some(hour_of(days_before(day, back)?.to_zoned(self.zone.clone()).ok()?.timestamp()));
        let week = |back| {
            let last = days_before(day, back)?.iso_week_date();
            Some(format!("{}-W{:02}", last.year(), last.week()))
        };
        Some(Due {
            week: week(1)?,
            week_before: week(8)?,
            at,
            from: midnight(7)?,
            to: midnight(0)?,
            from_before: midnight(14)?,
        })
    }
}

/// Returns the reason why this receiver cannot get a summary, if there is one.
fn refusal(name: &str, names: &Names<'_>) -> Option<&'static str> {
    if names.find(name).is_some_and(|receiver| receiver.reader() == Reader::StateKeeper) {
        return Some("gets no summary: it keeps the state of alerts, and a summary is none");
    }
    (name != log::NAME && !names.has(name)).then_some("is no receiver of this file")
}

/// Parses a day of the week.
fn day<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Weekday>, D::Error> {
    let day = |name: &str| BrokenDownTime::parse("%A", name).ok()?.weekday();
    values::parsed(deserializer, |name| day(name).ok_or("must be a day, monday to sunday"))
}

/// Parses an hour of the day.
#[expect(clippy::cast_possible_truncation, reason = "an hour")]
fn hour<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<i8>, D::Error> {
    let fits = |hour: f64| hour.fract() == 0.0 && (0.0..24.0).contains(&hour);
    values::numeric(deserializer, "an hour, 0 to 23", fits).map(|hour| Some(hour as i8))
}

fn days_before(date: Date, days: i64) -> Option<Date> {
    date.checked_sub(Span::new().days(days)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(day: Weekday, hour: i8, zone: TimeZone) -> Plan {
        Plan { receivers: ["chat".into()].into(), day, hour, zone }
    }

    fn due(plan: &Plan, now: &str) -> Option<[String; 4]> {
        let due = plan.due(now.parse().unwrap())?;
        Some([due.week, due.from.to_string(), due.to.to_string(), due.week_before])
    }

    #[test]
    fn it_is_due_from_its_hour_on_for_a_day_and_tells_of_seven_whole_days() {
        let monday = plan(Weekday::Monday, 8, TimeZone::UTC);
        let week = ["2026-W47", "2026-11-16T00:00:00Z", "2026-11-23T00:00:00Z", "2026-W46"].map(str::to_owned);
        for (now, told) in [
            ("2026-11-23T07:59:59Z", None),
            ("2026-11-23T08:00:00Z", Some(&week)),
            ("2026-11-24T07:59:59Z", Some(&week)),
            ("2026-11-24T08:00:00Z", None),
            ("2026-11-29T23:00:00Z", None),
        ] {
            assert_eq!(due(&monday, now).as_ref(), told, "{now}");
        }
        // The hour of Sunday evening is due until Monday evening.
        let sunday = plan(Weekday::Sunday, 20, TimeZone::UTC);
        assert_eq!(due(&sunday, "2026-11-23T19:00:00Z").unwrap()[0], "2026-W47");
        assert_eq!(due(&sunday, "2026-11-22T19:59:00Z"), None);
        // A year's end: the week is named after the last of the days.
        let friday = plan(Weekday::Friday, 0, TimeZone::UTC);
        assert_eq!(due(&friday, "2027-01-01T00:00:00Z").unwrap()[0], "2026-W53");
    }

    #[test]
    fn days_begin_and_hours_strike_by_the_clock_of_the_zone() {
        let east = plan(Weekday::Monday, 8, TimeZone::fixed(jiff::tz::offset(9)));
        assert_eq!(due(&east, "2026-11-22T22:59:59Z"), None);
        let told = due(&east, "2026-11-22T23:00:00Z").unwrap();
        assert_eq!(told[1..3], ["2026-11-15T15:00:00Z", "2026-11-22T15:00:00Z"]);
        assert_eq!(told[0], "2026-W47");
    }
}
