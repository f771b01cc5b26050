//! What there is to tell of a week: from the sums of its hours, never from its rows.

use jiff::Timestamp;
use pisync_core::{
    models::{Alert, DeviceStatus, SyncHour},
    queue::LastSeen,
    store::Store,
};
use serde::Serialize;

use crate::{
    messages::{in_words, subject},
    routing::summary::Due,
};

/// How many of the worst devices are named.
const WORST: usize = 5;

/// A week, and the one before it, as the template of the summary gets them.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct Figures {
    pub(super) syncs: Syncs,
    /// Those of the week before; none where nothing is known of it.
    pub(super) before: Option<Syncs>,
    /// Devices that were heard of since the week began.
    pub(super) devices: i64,
    /// As the summary of the week before has it, if there was one.
    pub(super) devices_before: Option<i64>,
    pub(super) begun: u64,
    pub(super) begun_before: u64,
    pub(super) ended: u64,
    pub(super) open: u64,
    /// The one that lasted longest, so far if it is open.
    pub(super) longest: Option<Longest>,
    /// The devices that fail now, most often in a row first.
    pub(super) worst: Vec<(String, i32)>,
}

/// The incident that lasted longest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Longest {
    pub(super) alertname: String,
    pub(super) subject: String,
    pub(super) lasted: String,
    pub(super) is_open: bool,
}

/// The syncs of some hours.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub(super) struct Syncs {
    /// How many hours were added up.
    pub(super) hours: u64,
    pub(super) good: u64,
    pub(super) connectivity: u64,
    pub(super) content: u64,
    pub(super) unknown: u64,
    /// Of all these, received late.
    pub(super) late: u64,
    pub(super) all: u64,
}

impl Figures {
    pub(super) async fn of(store: &Store, seen: &LastSeen, due: &Due, now: Timestamp) -> anyhow::Result<Self> {
        let (hours, alerts) = (store.sync_hours(), store.alerts());
        let (week, before) = (due.from..due.to, due.from_before..due.from);
        let worst = store.failure_counters().worst(DeviceStatus::REPEATED, None, WORST).await?.counters;
        let told_before = store.summaries().find(&due.week_before).await?;
        let longest = alerts.longest(week.clone(), now).await?;
        Ok(Self {
            syncs: Syncs::of(&hours.hours(week.start, week.end).await?),
            before: Some(Syncs::of(&hours.hours(before.start, before.end).await?)).filter(|before| before.hours > 0),
            devices: i64::try_from(seen.count_since(due.from).await?)?,
            devices_before: told_before.and_then(|told| told.figures.get("devices").copied()),
            begun: alerts.count_begun(week.clone()).await?,
            begun_before: alerts.count_begun(before).await?,
            ended: alerts.count_ended(week).await?,
            open: alerts.count_firing().await?,
            longest: longest.map(|incident| Longest::of(&incident.alert, now)),
            worst: worst.iter().map(|kept| (kept.device_id.to_string(), kept.failure_count())).collect(),
        })
    }
}

impl Longest {
    pub(super) fn of(alert: &Alert, now: Timestamp) -> Self {
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
            late: sum(|hour| hour.late.map_or(0, |late| late.all())),
        }
    }
}
