//! `[summary]`: who is told once a week how the fleet did, and when.

use jiff::{civil::Weekday, tz::TimeZone};
use toml::de::DeValue;

use super::{field, section::Section};
use crate::{
    receivers::{Receiver, log},
    summary::plan::Plan,
};

/// The days as they are written.
const DAYS: [(&str, Weekday); 7] = [
    ("monday", Weekday::Monday),
    ("tuesday", Weekday::Tuesday),
    ("wednesday", Weekday::Wednesday),
    ("thursday", Weekday::Thursday),
    ("friday", Weekday::Friday),
    ("saturday", Weekday::Saturday),
    ("sunday", Weekday::Sunday),
];

impl Plan {
    pub(super) fn read(section: &mut Section<'_>, receivers: &[Receiver], declared: &[String]) -> Option<Self> {
        let line = section.line_of("receivers");
        let names = section.need("receivers", field::texts);
        for name in names.iter().flatten() {
            if let Some(what) = refused(name, receivers, declared) {
                section.problem(line, "receivers", format!("{name:?} {what}"));
            }
        }
        let day = section.need("day", day);
        let hour = section.need("hour", hour);
        let zone = section.take("zone", zone).unwrap_or(TimeZone::UTC);
        let mut names = names?;
        names.sort_unstable();
        names.dedup();
        Some(Self { receivers: names, day: day?, hour: hour?, zone })
    }
}

/// Why this receiver gets no summary, if it does not.
fn refused(name: &str, receivers: &[Receiver], declared: &[String]) -> Option<&'static str> {
    let receiver = receivers.iter().find(|known| known.name == *name);
    if receiver.is_some_and(|receiver| !receiver.takes_summaries()) {
        return Some("gets no summary: it keeps the state of alerts, and a summary is none");
    }
    (name != log::NAME && !declared.iter().any(|known| known == name)).then_some("is no receiver of this file")
}

fn day(value: &DeValue<'_>) -> Result<Weekday, String> {
    let text = field::text(value)?;
    let known = DAYS.into_iter().find(|(name, _)| *name == text);
    known.map(|(_, day)| day).ok_or_else(|| "must be a day, monday to sunday".to_owned())
}

fn hour(value: &DeValue<'_>) -> Result<i8, String> {
    let hour = value.as_integer().and_then(|integer| integer.as_str().parse().ok());
    hour.filter(|hour| (0..24).contains(hour)).ok_or_else(|| "must be an hour, 0 to 23".to_owned())
}

fn zone(value: &DeValue<'_>) -> Result<TimeZone, String> {
    let unknown = "must be \"UTC\" or a time zone that this machine knows, such as \"Europe/Berlin\"";
    TimeZone::get(&field::text(value)?).map_err(|_| unknown.to_owned())
}
