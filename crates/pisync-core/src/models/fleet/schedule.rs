//! A schedule: the hours in which devices are expected to report.

use std::ops::Range;

use jiff::{
    SignedDuration, Span, Timestamp,
    civil::{Date, Time, Weekday},
    tz::TimeZone,
};

use crate::models::Gap;

/// A week.
const WEEK: SignedDuration = SignedDuration::from_hours(7 * 24);

/// The time for which a schedule is looked up, before or after a time.
const LONGEST: SignedDuration = SignedDuration::from_hours(400 * 24);

/// The hours of a week in one time zone, without holidays.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Schedule {
    /// The name in the settings.
    pub name: String,
    /// The time zone of hours and holidays.
    pub zone: TimeZone,
    /// The hours in which devices are expected.
    pub on: Vec<WeeklyHours>,
    /// Whole days in which no device is expected, first and last included.
    pub holidays: Vec<(Date, Date)>,
}

/// The same hours on some days of the week.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WeeklyHours {
    /// The days on which the hours begin.
    pub days: Vec<Weekday>,
    /// Their beginning.
    pub from: Time,
    /// Their end. At or before the beginning, it is on the next day; `None` is midnight.
    pub to: Option<Time>,
}

impl Schedule {
    /// Returns the times before `now` at which no device was expected, for more than a year back.
    pub fn gaps_before(&self, now: Timestamp) -> Vec<Gap> {
        self.gaps(now.saturating_sub(LONGEST).unwrap_or(Timestamp::MIN)..now)
    }

    /// Returns the times in `range` at which no device is expected, oldest first and disjoint.
    pub fn gaps(&self, range: Range<Timestamp>) -> Vec<Gap> {
        let (mut gaps, mut from) = (Vec::new(), range.start);
        for on in self.expected(range.clone()) {
            if from < on.start {
                gaps.push(Gap { from, to: on.start });
            }
            from = on.end;
        }
        if from < range.end {
            gaps.push(Gap { from, to: range.end });
        }
        gaps
    }

    /// Returns the times in `range` at which devices are expected, oldest first and disjoint.
    pub fn expected(&self, range: Range<Timestamp>) -> Vec<Range<Timestamp>> {
        let date = |at: Timestamp| at.to_zoned(self.zone.clone()).date();
        // Hours may begin on the day before and end within the range.
        let first = date(range.start).yesterday().unwrap_or(Date::MIN);
        let last = date(range.end);
        let days = first.series(Span::new().days(1)).take_while(|day| *day <= last);
        let on = days.flat_map(|day| self.on.iter().filter_map(move |hours| self.hours_on(hours, day)));
        let on = merged(on.filter_map(|on| within(&on, &range)).collect());
        without(on, &self.holidays_in(&range))
    }

    /// Returns for how long devices are expected in a week without holidays.
    pub fn in_a_week(&self) -> SignedDuration {
        let usual = Self { holidays: Vec::new(), ..self.clone() };
        // A week in which no zone of many people changes its clocks.
        let monday = jiff::civil::date(2026, 1, 12).to_zoned(self.zone.clone()).map(|monday| monday.timestamp());
        let monday = monday.unwrap_or_default();
        let week = monday..monday.saturating_add(WEEK).unwrap_or(monday);
        let lengths = usual.expected(week).into_iter().map(|on| on.end.duration_since(on.start));
        lengths.fold(SignedDuration::ZERO, SignedDuration::saturating_add)
    }

    /// Returns whether devices are expected at this time.
    pub fn is_expected(&self, at: Timestamp) -> bool {
        let end = at.saturating_add(SignedDuration::from_nanos(1)).unwrap_or(at);
        !self.expected(at..end).is_empty()
    }

    /// Returns the next time after `at` at which that changes; `None` if it stays so for more than a year.
    pub fn next_change(&self, at: Timestamp) -> Option<Timestamp> {
        let end = at.saturating_add(LONGEST).ok()?;
        let expected = self.expected(at..end);
        let first = expected.first()?;
        let change = if first.start > at { first.start } else { first.end };
        (change < end).then_some(change)
    }

    /// Returns `at`, or the next beginning if that is outside the schedule. If there is none for more than a year, it is
    /// `at`.
    pub fn next_on(&self, at: Timestamp) -> Timestamp {
        if self.is_expected(at) { at } else { self.next_change(at).unwrap_or(at) }
    }

    /// Returns the hours that begin on a day, if any do. A time that the clocks skip is as much later.
    fn hours_on(&self, hours: &WeeklyHours, day: Date) -> Option<Range<Timestamp>> {
        if !hours.days.contains(&day.weekday()) {
            return None;
        }
        let end = match hours.to {
            Some(to) if to > hours.from => day.to_datetime(to),
            to => day.tomorrow().ok()?.to_datetime(to.unwrap_or(Time::midnight())),
        };
        let at = |at: jiff::civil::DateTime| Some(at.to_zoned(self.zone.clone()).ok()?.timestamp());
        Some(at(day.to_datetime(hours.from))?..at(end)?)
    }

    /// Returns the holidays within `range`, oldest first and disjoint.
    fn holidays_in(&self, range: &Range<Timestamp>) -> Vec<Range<Timestamp>> {
        let midnight = |day: Date| Some(day.to_zoned(self.zone.clone()).ok()?.timestamp());
        let holidays =
            self.holidays.iter().filter_map(|(first, last)| Some(midnight(*first)?..midnight(last.tomorrow().ok()?)?));
        merged(holidays.filter_map(|off| within(&off, range)).collect())
    }
}

fn within(one: &Range<Timestamp>, range: &Range<Timestamp>) -> Option<Range<Timestamp>> {
    let (start, end) = (one.start.max(range.start), one.end.min(range.end));
    (start < end).then_some(start..end)
}

/// Returns the same times, oldest first and disjoint.
fn merged(mut times: Vec<Range<Timestamp>>) -> Vec<Range<Timestamp>> {
    times.sort_by_key(|time| time.start);
    let mut merged: Vec<Range<Timestamp>> = Vec::with_capacity(times.len());
    for time in times {
        match merged.last_mut() {
            Some(last) if time.start <= last.end => last.end = last.end.max(time.end),
            _ => merged.push(time),
        }
    }
    merged
}

/// Returns the times without those that are off. Both are oldest first and disjoint.
fn without(on: Vec<Range<Timestamp>>, off: &[Range<Timestamp>]) -> Vec<Range<Timestamp>> {
    let mut left = Vec::with_capacity(on.len());
    for mut on in on {
        for off in off {
            if off.end <= on.start {
                continue;
            }
            if off.start >= on.end {
                break;
            }
            if on.start < off.start {
                left.push(on.start..off.start);
            }
            on.start = off.end;
        }
        if on.start < on.end {
            left.push(on);
        }
    }
    left
}

#[cfg(test)]
mod tests {
    use jiff::{civil::time, tz::TimeZoneDatabase};

    use super::*;

    const SCHOOL_DAYS: [Weekday; 5] =
        [Weekday::Monday, Weekday::Tuesday, Weekday::Wednesday, Weekday::Thursday, Weekday::Friday];

    fn school(zone: &str) -> Schedule {
        let hours = WeeklyHours { days: SCHOOL_DAYS.to_vec(), from: time(8, 0, 0, 0), to: Some(time(16, 0, 0, 0)) };
        let zone = TimeZoneDatabase::bundled().get(zone).unwrap();
        Schedule { name: "school".into(), zone, on: vec![hours], holidays: Vec::new() }
    }

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn expected(schedule: &Schedule, from: &str, to: &str) -> Vec<String> {
        let times = schedule.expected(at(from)..at(to));
        times.iter().map(|on| format!("{}/{}", on.start, on.end)).collect()
    }

    #[test]
    fn a_week_of_school_is_five_times_eight_hours_in_its_zone() {
        let school = school("Africa/Nairobi");
        let week = expected(&school, "2026-11-22T21:00:00Z", "2026-11-29T21:00:00Z");
        assert_eq!(week.len(), 5);
        assert_eq!(week[0], "2026-11-23T05:00:00Z/2026-11-23T13:00:00Z");
        assert_eq!(week[4], "2026-11-27T05:00:00Z/2026-11-27T13:00:00Z");
        assert_eq!(school.in_a_week(), SignedDuration::from_hours(40));
        for (time, is_expected, next) in [
            ("2026-11-23T04:59:59Z", false, "2026-11-23T05:00:00Z"),
            ("2026-11-23T05:00:00Z", true, "2026-11-23T13:00:00Z"),
            ("2026-11-23T13:00:00Z", false, "2026-11-24T05:00:00Z"),
            ("2026-11-27T20:00:00Z", false, "2026-11-30T05:00:00Z"),
        ] {
            let said = (school.is_expected(at(time)), school.next_change(at(time)));
            assert_eq!(said, (is_expected, Some(at(next))), "{time}");
            assert_eq!(school.next_on(at(time)), at(if is_expected { time } else { next }), "{time}");
        }
    }

    #[test]
    fn gaps_are_the_rest_of_the_time_up_to_both_ends() {
        let school = school("UTC");
        let gaps = school.gaps(at("2026-11-27T12:00:00Z")..at("2026-11-30T09:00:00Z"));
        assert_eq!(gaps, [Gap { from: at("2026-11-27T16:00:00Z"), to: at("2026-11-30T08:00:00Z") }]);
        let night = school.gaps(at("2026-11-23T20:00:00Z")..at("2026-11-24T03:00:00Z"));
        assert_eq!(night, [Gap { from: at("2026-11-23T20:00:00Z"), to: at("2026-11-24T03:00:00Z") }]);
        assert_eq!(school.gaps(at("2026-11-23T09:00:00Z")..at("2026-11-23T10:00:00Z")), []);
    }

    #[test]
    fn hours_follow_the_clocks_of_their_zone() {
        let berlin = school("Europe/Berlin");
        // Winter time begins on Sunday, the 25th of October.
        assert_eq!(
            expected(&berlin, "2026-10-23T00:00:00Z", "2026-10-27T00:00:00Z"),
            ["2026-10-23T06:00:00Z/2026-10-23T14:00:00Z", "2026-10-26T07:00:00Z/2026-10-26T15:00:00Z"]
        );
        // The hour from 2 to 3 is skipped on the 29th of March: hours in it begin when the clock goes on.
        let skipped = WeeklyHours { days: vec![Weekday::Sunday], from: time(2, 30, 0, 0), to: Some(time(5, 0, 0, 0)) };
        let night = Schedule { on: vec![skipped], ..berlin };
        assert_eq!(
            expected(&night, "2026-03-28T00:00:00Z", "2026-03-30T00:00:00Z"),
            ["2026-03-29T01:30:00Z/2026-03-29T03:00:00Z"]
        );
    }

    #[test]
    fn hours_may_end_on_the_next_day_and_overlap() {
        let late = WeeklyHours { days: vec![Weekday::Friday], from: time(22, 0, 0, 0), to: Some(time(6, 0, 0, 0)) };
        let whole = WeeklyHours { days: vec![Weekday::Saturday], from: Time::midnight(), to: None };
        let schedule = Schedule { on: vec![late, whole], ..school("UTC") };
        assert_eq!(
            expected(&schedule, "2026-11-23T00:00:00Z", "2026-11-30T00:00:00Z"),
            ["2026-11-27T22:00:00Z/2026-11-29T00:00:00Z"]
        );
        // A range that begins after midnight has the rest of the night.
        assert_eq!(
            expected(&schedule, "2026-11-28T03:00:00Z", "2026-11-28T04:00:00Z"),
            ["2026-11-28T03:00:00Z/2026-11-28T04:00:00Z"]
        );
    }

    #[test]
    fn no_device_is_expected_on_holidays() {
        let day = jiff::civil::date;
        let schedule = Schedule { holidays: vec![(day(2026, 11, 24), day(2026, 11, 25))], ..school("UTC") };
        assert_eq!(
            expected(&schedule, "2026-11-23T00:00:00Z", "2026-11-27T00:00:00Z"),
            ["2026-11-23T08:00:00Z/2026-11-23T16:00:00Z", "2026-11-26T08:00:00Z/2026-11-26T16:00:00Z"]
        );
        assert_eq!(schedule.in_a_week(), SignedDuration::from_hours(40), "of a usual week");
        let summer = Schedule { holidays: vec![(day(2026, 1, 1), day(2028, 1, 1))], ..schedule };
        assert_eq!(
            (summer.is_expected(at("2026-11-26T09:00:00Z")), summer.next_change(at("2026-11-26T09:00:00Z"))),
            (false, None)
        );
    }
}
