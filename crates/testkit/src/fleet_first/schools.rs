//! Two weeks of schools: devices that are switched on from 8 to 16 o'clock on school days, with a weekend, a change
//! of the clocks, a holiday, a region that is out, and a device that dies.

use anyhow::Context;
use jiff::{
    SignedDuration, Span, Timestamp,
    civil::{Date, Weekday},
    tz::{TimeZone, TimeZoneDatabase},
};
use pisync_core::models::{DeviceId, FailureCounter, Labels};
use serde_json::Value;

use super::{
    messages::{told, word},
    story::{Story, name},
    table,
};
use crate::{test_env::TestEnv, world::store_counters};

/// The zone of the schools. Its clocks change in each half of a year.
const ZONE: &str = "Europe/Berlin";

/// The number of regions. One is less than a twentieth of the fleet, so that the whole is not silent with it.
const REGIONS: u32 = 25;

/// The device that dies.
const DEAD: u32 = 7;

/// The days of the story, from a Monday on; the clocks change on the first Sunday.
const DAYS: i64 = 14;

/// The day on which the device dies.
const DIES_ON: i64 = 1;

/// The holiday.
const HOLIDAY: i64 = 3;

/// The day on which a region is out.
const OUT_ON: i64 = 9;

/// The hour at which the region goes out and the device dies.
const OUT_AT: i8 = 10;

/// The hours in which devices are on.
const ON: std::ops::Range<i8> = 8..16;

/// The civil days of the story.
struct Days {
    zone: TimeZone,
    monday: Date,
}

impl Days {
    /// Returns the days around the last change of the clocks that is over for more than a week.
    fn before(now: Timestamp) -> anyhow::Result<Self> {
        let zone = TimeZoneDatabase::bundled().get(ZONE)?;
        let before = now - SignedDuration::from_hours(8 * 24);
        let change = zone.preceding(before).next().context("a change of the clocks")?.timestamp();
        let sunday = change.to_zoned(zone.clone()).date();
        Ok(Self { zone, monday: sunday.checked_sub(Span::new().days(6))? })
    }

    fn date(&self, day: i64) -> anyhow::Result<Date> {
        Ok(self.monday.checked_add(Span::new().days(day))?)
    }

    fn at(&self, day: i64, hour: i8) -> anyhow::Result<Timestamp> {
        Ok(self.date(day)?.at(hour, 0, 0, 0).to_zoned(self.zone.clone())?.timestamp())
    }

    fn is_school_day(&self, day: i64) -> anyhow::Result<bool> {
        let is_weekend = matches!(self.date(day)?.weekday(), Weekday::Saturday | Weekday::Sunday);
        Ok(!is_weekend && day != HOLIDAY)
    }

    /// Returns the config; with the schedule only if it is `scheduled`.
    fn config(&self, scheduled: bool) -> anyhow::Result<String> {
        let (holiday, expected) = (self.date(HOLIDAY)?, if scheduled { "school hours" } else { "always" });
        Ok(format!(
            "[[schedule]]\nname = \"school hours\"\nzone = \"{ZONE}\"\n\
             on = [{{ days = [\"mon\", \"tue\", \"wed\", \"thu\", \"fri\"], from = \"08:00\", to = \"16:00\" }}]\n\
             off = [{{ from = \"{holiday}\", to = \"{holiday}\" }}]\n\
             [rules]\nexpected = \"{expected}\"\ndevice_silent_after = \"12h\"\nfleet_by = [\"region\"]\n"
        ))
    }
}

/// Plays the two weeks; without the schedule (`scheduled`) the first two days, in which each night is a false alarm.
pub(super) async fn schools(env: &TestEnv, devices: u32, scheduled: bool) -> anyhow::Result<bool> {
    let days = Days::before(Timestamp::now())?;
    let start = days.monday.to_zoned(days.zone.clone())?.timestamp();
    let mut story = Story::with(env, start, &days.config(scheduled)?).await?;
    store_counters(env, (0..devices).map(counter).collect::<anyhow::Result<_>>()?).await;
    // The Friday before, so that the first Monday begins as any other.
    hour(&story, devices, &days, -3, ON.end - 1).await?;
    for day in 0..if scheduled { DAYS } else { 2 } {
        for at in 0..24 {
            let since = story.since(days.at(day, at)?);
            if days.is_school_day(day)? && ON.contains(&at) {
                hour(&story, devices, &days, day, at).await?;
                // Often where a message is due to the minute.
                let ticks = if [DIES_ON + 1, OUT_ON].contains(&day) { 4 } else { 1 };
                for quarter in 0..ticks {
                    story.tick(since + SignedDuration::from_mins(15 * quarter + 14)).await?;
                }
            } else if at % 4 == 0 {
                story.tick(since).await?;
            }
        }
    }
    let expected = told(&[("DeviceSilent firing", 1), ("FleetSilent firing", 1), ("FleetSilent resolved", 1)]);
    let is_right = story.messages() == expected && are_in_time(&story, &days)?;
    let hours = if scheduled { "with their hours" } else { "without their hours" };
    table::timeline(&story, &format!("{devices} devices in schools, {hours}"), is_right);
    Ok(is_right)
}

/// Returns whether the region was notified within three hours of school, and the device within a day and a half.
fn are_in_time(story: &Story<'_>, days: &Days) -> anyhow::Result<bool> {
    let out = story.since(days.at(OUT_ON, OUT_AT)?)..=story.since(days.at(OUT_ON, OUT_AT + 3)?);
    let dead = story.since(days.at(DIES_ON, OUT_AT)?)..=story.since(days.at(DIES_ON + 1, OUT_AT + 4)?);
    let is_in_time = |(at, line): &(SignedDuration, Value)| match (word(line, "alertname"), word(line, "status")) {
        ("FleetSilent", "firing") => out.contains(at) && word(line, "message").contains("region=r0"),
        ("DeviceSilent", "firing") => dead.contains(at) && word(line, "deviceId") == name(DEAD),
        _ => true,
    };
    Ok(story.sent.iter().all(is_in_time))
}

fn counter(device: u32) -> anyhow::Result<FailureCounter> {
    let labels = Labels::new([("region".to_owned(), format!("r{}", device % REGIONS))])?;
    Ok(FailureCounter { labels, ..FailureCounter::new(DeviceId::parse(&name(device))?) })
}

/// Has each device that is on heard of within this hour, spread over it.
async fn hour(story: &Story<'_>, devices: u32, days: &Days, day: i64, at: i8) -> anyhow::Result<()> {
    let is_out = |region: u32| region == 0 && day == OUT_ON && at >= OUT_AT;
    let is_dead = |device: u32| device == DEAD && (day > DIES_ON || (day == DIES_ON && at >= OUT_AT));
    let since = story.since(days.at(day, at)?);
    for quarter in 0..4 {
        let heard =
            (0..devices).filter(|device| device % 4 == quarter && !is_out(device % REGIONS) && !is_dead(*device));
        story.heard_some(heard, since + SignedDuration::from_mins(i64::from(quarter) * 15 + 5)).await?;
    }
    Ok(())
}
