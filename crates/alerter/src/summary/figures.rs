//! The numbers of a weekly summary, from the sums of its hours, never from its rows.

use std::collections::BTreeMap;

use jiff::Timestamp;
use minijinja::{Value, context, value::Serde};
use pisync_core::{
    models::{Alert, DeviceStatus, MessageId, Summary, SyncHour},
    presence::LastSeen,
    store::Store,
};
use serde::Serialize;

use crate::{
    messages::{Messages, in_words, minute, subject},
    routing::summary::Due,
};

/// The number of the worst devices that are named.
const WORST: usize = 5;

/// The numbers of a week and the one before it, for the template of the summary.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct Figures {
    syncs: Syncs,
    /// The numbers of the week before; `None` if it has no sums.
    before: Option<Syncs>,
    /// The number of devices that were heard of since the week began.
    devices: i64,
    /// The same in the stored summary of the week before, if there is one.
    devices_before: Option<i64>,
    begun: u64,
    begun_before: u64,
    ended: u64,
    open: u64,
    /// The longest incident of the week, until now if it is open.
    longest: Option<Longest>,
    /// The failing devices with the most consecutive failures, most first.
    worst: Vec<(String, i32)>,
}

/// The longest incident of the week.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
struct Longest {
    alertname: String,
    subject: String,
    lasted: String,
    is_open: bool,
}

/// The number of syncs in some hours.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
struct Syncs {
    /// The number of hours with sums.
    hours: u64,
    good: u64,
    connectivity: u64,
    content: u64,
    unknown: u64,
    /// The number of these that were received late.
    late: u64,
    all: u64,
}

impl Figures {
    pub(super) async fn of(store: &Store, seen: &LastSeen, due: &Due, now: Timestamp) -> anyhow::Result<Self> {
        let (hours, alerts) = (store.sync_hours(), store.alerts());
        let (week, before) = (due.from..due.to, due.from_before..due.from);
        let worst = store.failure_counters().worst(DeviceStatus::REPEATED, None, WORST).await?.counters;
        let summary_before = store.summaries().find(&due.week_before).await?;
        let longest = alerts.longest(week.clone(), now).await?;
        Ok(Self {
            syncs: Syncs::of(&hours.hours(week.start, week.end).await?),
            before: Some(Syncs::of(&hours.hours(before.start, before.end).await?)).filter(|before| before.hours > 0),
            devices: i64::try_from(seen.count_since(due.from).await?)?,
            devices_before: summary_before.and_then(|summary| summary.figures.get("devices").copied()),
            begun: alerts.count_begun(week.clone()).await?,
            begun_before: alerts.count_begun(before).await?,
            ended: alerts.count_ended(week).await?,
            open: alerts.count_firing().await?,
            longest: longest.map(|incident| Longest::of(&incident.alert, now)),
            worst: worst.iter().map(|kept| (kept.device_id.to_string(), kept.failure_count())).collect(),
        })
    }

    /// Returns the summary of a week.
    ///
    /// Fails if the operating system gives no random bytes.
    pub(super) fn summary(&self, messages: &Messages, due: &Due) -> anyhow::Result<Summary> {
        let Due { week, from, to, .. } = due;
        let hours = u64::try_from(to.duration_since(*from).as_hours()).unwrap_or(0);
        // The variables of the template `summary.txt`, beside the figures.
        let context = context! {
            week,
            from => minute(*from),
            to => minute(*to),
            // The number of hours without sums, and of all hours.
            missing => hours.saturating_sub(self.syncs.hours),
            hours,
            ..Value::from(Serde(self))
        };
        let (subject, lines) = messages.summary(&context);
        let (week, id) = (week.clone(), MessageId::random()?);
        Ok(Summary { week, id, from: *from, to: *to, subject, lines, figures: self.numbers() })
    }

    fn numbers(&self) -> BTreeMap<String, i64> {
        let number = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
        let Syncs { good, connectivity, content, unknown, late, all, .. } = self.syncs;
        [
            ("syncs", number(all)),
            ("good", number(good)),
            ("failedConnectivity", number(connectivity)),
            ("failedContent", number(content)),
            ("failedUnknown", number(unknown)),
            ("late", number(late)),
            ("devices", self.devices),
            ("incidentsBegun", number(self.begun)),
            ("incidentsEnded", number(self.ended)),
            ("incidentsOpen", number(self.open)),
        ]
        .map(|(name, value)| (name.to_owned(), value))
        .into()
    }
}

impl Longest {
    fn of(alert: &Alert, now: Timestamp) -> Self {
        let lasted = alert.ends_at.unwrap_or(now).duration_since(alert.starts_at);
        Self {
            alertname: alert.name.to_string(),
            subject: subject(alert),
            lasted: in_words(lasted.try_into().unwrap_or_default()),
            is_open: alert.ends_at.is_none(),
        }
    }
}

impl Syncs {
    fn of(hours: &[SyncHour]) -> Self {
        let sum = |of: fn(&SyncHour) -> u64| hours.iter().map(of).sum::<u64>();
        Self {
            all: sum(|hour| hour.good + hour.connectivity + hour.content + hour.unknown()),
            hours: hours.len() as u64,
            good: sum(|hour| hour.good),
            connectivity: sum(|hour| hour.connectivity),
            content: sum(|hour| hour.content),
            unknown: sum(SyncHour::unknown),
            late: sum(|hour| hour.late.all()),
        }
    }
}

#[cfg(test)]
mod tests {
    use jiff::{SignedDuration, civil::Weekday, tz::TimeZone};
    use pisync_core::models::{AlertName, Subject};

    use super::*;
    use crate::{fixtures::messages, routing::Plan};

    fn due() -> Due {
        let plan = Plan { receivers: [].into(), day: Weekday::Monday, hour: 8, zone: TimeZone::UTC };
        plan.due("2026-11-23T08:00:00Z".parse().unwrap()).unwrap()
    }

    fn figures() -> Figures {
        let fleet = Alert::new(AlertName::FLEET_SILENT, Subject::Fleet, due().from);
        Figures {
            syncs: Syncs { hours: 168, good: 9_999, connectivity: 1, content: 0, unknown: 0, late: 12, all: 10_000 },
            before: Some(Syncs { hours: 100, good: 90, connectivity: 2, content: 3, unknown: 5, late: 0, all: 100 }),
            devices: 1_234,
            devices_before: Some(1_200),
            begun: 1,
            begun_before: 4,
            ended: 0,
            open: 1,
            longest: Some(Longest::of(&fleet, due().from + SignedDuration::from_hours(49))),
            worst: vec![("pibook-1".into(), 120), ("pibook-2".into(), 3)],
        }
    }

    #[test]
    fn a_week_is_told_in_one_line_and_then_in_each() {
        let summary = figures().summary(&messages(), &due()).unwrap();
        assert_eq!(summary.subject, "[PiSync] 2026-W47: 99.9 % of 10\u{202f}000 syncs were good, 1 incident");
        assert_eq!(
            summary.lines,
            [
                "From 2026-11-16 00:00 UTC to 2026-11-23 00:00 UTC",
                "Syncs reported: 10\u{202f}000 (100 the week before)",
                "Good: 99.9 % (90.0 % the week before)",
                "Failed: 1 for the connection (2 for the connection, 3 for the content, 5 for an unknown cause \
                 the week before)",
                "Received over two hours late, good or failed: 12",
                "Devices seen: 1\u{202f}234 (1\u{202f}200 the week before)",
                "Incidents: 1 began (4 the week before), 0 ended, 1 open now",
                "The longest: FleetSilent of the fleet, 2 d 1 h, still open",
                "Failing most often now: pibook-1 (120 in a row), pibook-2 (3 in a row)",
            ]
        );
        assert_eq!((summary.figures["syncs"], summary.figures["devices"], summary.figures.len()), (10_000, 1_234, 10));
    }

    #[test]
    fn what_is_not_known_is_said_and_not_made_up() {
        let figures = Figures {
            syncs: Syncs { hours: 160, ..Syncs::default() },
            before: None,
            devices_before: None,
            longest: None,
            worst: Vec::new(),
            ..figures()
        };
        let summary = figures.summary(&messages(), &due()).unwrap();
        assert_eq!(summary.subject, "[PiSync] 2026-W47: no syncs were reported, 1 incident");
        let text = summary.lines.join("\n");
        assert_eq!(text.matches("no data for the week before").count(), 4, "{text}");
        assert!(text.contains("Hours without sums, not included: 8 of 168") && text.contains("Good: none"), "{text}");
    }
}
