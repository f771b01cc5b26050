//! `[[schedule]]`: the hours in which devices report, or in which people read messages.

use std::sync::Arc;

use jiff::{
    SignedDuration,
    civil::{Date, Weekday},
    fmt::strtime::BrokenDownTime,
    tz::TimeZone,
};
use pisync_core::models::{Schedule, WeeklyHours};
use serde::Deserialize;

use crate::tables::{Table, Text, Texts, values};

/// The name for all hours, which needs no `[[schedule]]`.
pub(crate) const ALWAYS: &str = "always";

/// The least time for which a schedule must be on in a week.
const LEAST: SignedDuration = SignedDuration::from_hours(2);

/// The keys of the file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Settings {
    name: Option<Text>,
    #[serde(default, deserialize_with = "values::zone")]
    zone: Option<TimeZone>,
    on: Option<Vec<OnSettings>>,
    #[serde(default)]
    off: Vec<OffSettings>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct OnSettings {
    days: Texts,
    from: String,
    to: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct OffSettings {
    from: String,
    to: String,
}

/// Reads one `[[schedule]]`.
pub(super) fn read(table: &mut Table<'_>) -> Option<Arc<Schedule>> {
    let Settings { name, zone, on, off } = table.read()?;
    let (name, zone, on) = (table.need("name", name), table.need("zone", zone), table.need("on", on));
    let on = on.and_then(|on| table.check("on", on.into_iter().map(hours).collect::<Result<Vec<_>, _>>()));
    let holidays = table.check("off", off.into_iter().map(holiday).collect::<Result<Vec<_>, _>>());
    let schedule = Schedule { name: name?.0, zone: zone?, on: on?, holidays: holidays? };
    if schedule.name == ALWAYS {
        table.fault("name", "is the name for all hours: choose another");
    }
    if schedule.in_a_week() < LEAST {
        table.fault("on", "is less than two hours a week: no silence would be noticed");
    }
    Some(Arc::new(schedule))
}

/// Reports each name that two schedules have.
pub(super) fn require_unique(file: &mut Table<'_>, schedules: &[Arc<Schedule>]) {
    for (place, schedule) in schedules.iter().enumerate() {
        if schedules[..place].iter().any(|other| other.name == schedule.name) {
            file.fault("schedule", format!("two have the name {:?}", schedule.name));
        }
    }
}

/// Returns the schedule of this name, and reports an unknown one; `None` for all hours.
pub(crate) fn find(
    table: &mut Table<'_>,
    key: &str,
    name: Option<&str>,
    schedules: &[Arc<Schedule>],
) -> Option<Arc<Schedule>> {
    let name = name.filter(|name| *name != ALWAYS)?;
    let found = schedules.iter().find(|schedule| schedule.name == name);
    table.check(key, found.cloned().ok_or("must be \"always\" or the name of a [[schedule]] of this file"))
}

fn hours(OnSettings { days, from, to }: OnSettings) -> Result<WeeklyHours, String> {
    let day = |name: &String| {
        let day = ["%a", "%A"].into_iter().find_map(|form| BrokenDownTime::parse(form, name).ok()?.weekday());
        day.ok_or_else(|| "must have days such as \"mon\" or \"monday\"".to_owned())
    };
    let days = days.into_vec().iter().map(day).collect::<Result<Vec<Weekday>, _>>()?;
    let time = |text: &str| BrokenDownTime::parse("%H:%M", text).ok().and_then(|time| time.to_time().ok());
    let what = || "must have hours such as from = \"08:00\", to = \"16:00\"; a day ends at \"24:00\"".to_owned();
    let from = time(&from).ok_or_else(what)?;
    let to = if to == "24:00" { None } else { Some(time(&to).ok_or_else(what)?) };
    Ok(WeeklyHours { days, from, to })
}

fn holiday(OffSettings { from, to }: OffSettings) -> Result<(Date, Date), String> {
    let date = |text: &str| text.parse::<Date>().map_err(|_| "must have dates such as \"2026-12-24\"".to_owned());
    let (from, to) = (date(&from)?, date(&to)?);
    if to < from { Err("must have a last day that is not before the first".to_owned()) } else { Ok((from, to)) }
}
