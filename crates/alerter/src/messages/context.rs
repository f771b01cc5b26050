//! What templates may use. An operator's templates and those of other languages will use the same, so a
//! member keeps its name and its meaning.

use std::collections::BTreeMap;

use pisync_core::models::{DeviceId, Telling};
use serde::Serialize;
use serde_json::Value;

use super::{
    Links,
    words::{in_words, lasted, minute, round, subject},
};
use crate::{
    device_context::FailedSync,
    notification::{AlertNotification, Notification},
};

/// What the template of a rule may use. Times are to the minute, speeds in Mbps.
#[derive(Debug, Serialize)]
pub(super) struct AlertContext<'a> {
    /// `firing`, `repeat` (it is still so, long after people were notified) or `resolved`.
    kind: &'static str,
    alertname: &'a str,
    /// The device, the part of the fleet, or "the fleet".
    subject: String,
    /// The part of the fleet that it is about, if it is about one.
    scope: Option<String>,
    /// `connectivity`, `content` or `unknown`.
    cause: &'static str,
    starts_at: String,
    ends_at: Option<String>,
    /// How long it lasted, once it is resolved.
    lasted: Option<String>,
    /// Failed syncs, or failing devices.
    failure_count: i32,
    /// How many devices it is about, of how many; of a device that flaps, how often it changed, of how
    /// often it could have.
    part: u64,
    whole: u64,
    percent: String,
    /// What else the rule found, by name.
    facts: Option<&'a BTreeMap<String, Value>>,
    /// What those that fail have in common.
    changed: Option<String>,
    /// Some of the devices by name, and how many more there are.
    named: String,
    more: u64,
    /// The speed at the last failed sync.
    speed: Option<String>,
    /// The speed below which the connection is taken for the cause.
    floor: String,
    /// The median speed of the device's last good syncs.
    typical_speed: Option<String>,
    /// The same, if the connection is taken for the cause because it was far slower than that.
    slow_for_it: Option<String>,
    /// The last failed syncs, newest first.
    last_errors: Vec<SyncContext>,
    last_good_sync: Option<String>,
    /// How far the device's clock is behind ours, if it is.
    clock_behind: Option<String>,
    /// `device` or `fleet`, and its page.
    page: &'static str,
    link: Option<String>,
}

/// One failed sync.
#[derive(Debug, Serialize)]
struct SyncContext {
    at: String,
    errors: i64,
    files: i64,
    speed: String,
}

/// What the template of a whole message may use.
#[derive(Debug, Serialize)]
pub(super) struct MessageContext {
    /// The rule that all its alerts have in common.
    alertname: Option<String>,
    /// The headline of its only alert; none if there are several.
    headline: Option<String>,
    /// How many of its alerts are firing, are resolved, and are not listed.
    firing: usize,
    resolved: usize,
    more: usize,
}

impl<'a> AlertContext<'a> {
    #[expect(clippy::cast_precision_loss, reason = "counts are below 2^53")]
    pub(super) fn of(notice: &'a AlertNotification, floor_mbps: f64, links: &Links) -> Self {
        let AlertNotification { kind, alert, context } = notice;
        let stats = alert.finding.as_ref();
        let (part, whole) = stats.map(|stats| (stats.part, stats.whole)).unwrap_or_default();
        let changed = stats.map(|stats| stats.changed.join("; ")).filter(|changed| !changed.is_empty());
        let named: Vec<_> = stats.iter().flat_map(|stats| &stats.named).map(DeviceId::as_str).collect();
        let evidence = alert.evidence.filter(|evidence| evidence.speed >= floor_mbps);
        Self {
            kind: kind.as_str(),
            alertname: alert.name.as_str(),
            subject: subject(alert),
            scope: alert.scope().map(ToString::to_string),
            cause: alert.cause.as_str(),
            starts_at: minute(alert.starts_at),
            ends_at: alert.ends_at.map(minute),
            lasted: lasted(alert),
            failure_count: alert.failure_count,
            part,
            whole,
            percent: format!("{:.1}", 100.0 * part as f64 / whole.max(1) as f64),
            facts: stats.map(|stats| &stats.facts),
            changed: changed.filter(|_| *kind != Telling::Resolved),
            more: part.saturating_sub(named.len() as u64),
            named: named.join(", "),
            speed: context.last_errors.first().map(|failed| round(failed.speed)),
            floor: round(floor_mbps),
            typical_speed: context.usual_speed.map(round),
            slow_for_it: evidence.and_then(|evidence| evidence.usual).map(round),
            last_errors: context.last_errors.iter().map(SyncContext::from).collect(),
            last_good_sync: context.last_good_sync.map(minute),
            clock_behind: context.clock_behind.map(|behind| in_words(behind.unsigned_abs())),
            page: if alert.device_id().is_some() { "device" } else { "fleet" },
            link: links.page(alert),
        }
    }
}

impl MessageContext {
    pub(super) fn of(notification: &Notification, headline: Option<String>) -> Self {
        let resolved = notification.notices.iter().filter(|notice| notice.kind == Telling::Resolved).count();
        Self {
            alertname: notification.group.get(pisync_core::models::ALERTNAME).cloned(),
            headline,
            firing: notification.notices.len() - resolved,
            resolved,
            more: notification.more,
        }
    }
}

impl From<&FailedSync> for SyncContext {
    fn from(failed: &FailedSync) -> Self {
        Self { at: minute(failed.at), errors: failed.errors, files: failed.files, speed: round(failed.speed) }
    }
}
