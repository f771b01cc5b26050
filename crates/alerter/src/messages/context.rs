//! What templates may use. An operator's templates and those of other languages will use the same, so a
//! member keeps its name and its meaning.

use minijinja::{
    Value, context,
    value::{Serde, merge_maps},
};
use pisync_core::models::{ALERTNAME, DeviceId, NotificationKind};

use super::words::{in_words, minute, round, short, subject};
use crate::notification::{AlertNotification, Notification};

/// Returns what the template of a rule may use. Times are to the minute, speeds in Mbps.
pub(super) fn of_alert(notice: &AlertNotification, floor_mbps: f64) -> Value {
    let AlertNotification { kind, alert, context: device } = notice;
    let finding = alert.finding.as_ref();
    let (part, whole) = finding.map(|finding| (finding.part, finding.whole)).unwrap_or_default();
    let changed = finding.map(|finding| finding.changed.join("; ")).filter(|changed| !changed.is_empty());
    let named: Vec<_> = finding.iter().flat_map(|finding| &finding.named).map(DeviceId::as_str).collect();
    let slow_for_it =
        alert.evidence.filter(|evidence| evidence.speed >= floor_mbps).and_then(|evidence| evidence.usual);
    let subject = subject(alert);
    let is_whole = alert.device_id().is_none() && alert.scope().is_none();
    let lasted = alert.ends_at.map(|end| in_words(end.duration_since(alert.starts_at).try_into().unwrap_or_default()));
    let context = context! {
        // `firing`, `repeat` (it is still so, long after people were notified) or `resolved`.
        kind => kind.as_str(),
        alertname => alert.name.as_str(),
        // What begins a headline: the device, the part of the fleet, or "PiSync"; a long name is shortened.
        who => if is_whole { "PiSync".to_owned() } else { short(&subject) },
        // The same in full.
        subject,
        // `connectivity`, `content` or `unknown`.
        cause => alert.cause.as_str(),
        starts_at => minute(alert.starts_at),
        // When it ended and how long it lasted, once it is resolved.
        ends_at => alert.ends_at.map(minute),
        lasted,
        // Failed syncs, or failing devices.
        failure_count => alert.failure_count,
        // How many devices it is about, of how many; of a device that flaps, how often it changed, of how
        // often it could have.
        part,
        whole,
        // What else the rule found, by name.
        facts => finding.map(|finding| Value::from(Serde(&finding.facts))),
        // What those that fail have in common.
        changed => changed.filter(|_| *kind != NotificationKind::Resolved),
        // Some of the devices by name, and how many more there are.
        more => part.saturating_sub(named.len() as u64),
        named => named.join(", "),
        // The speed that the cause was judged by, if one was measured. Its newest failed sync may be another by now.
        speed => alert.evidence.map(|evidence| evidence.speed).filter(|speed| *speed > 0.0).map(round),
        // The speed below which the connection is taken for the cause.
        floor => round(floor_mbps),
        // The usual speed, if the connection is taken for the cause because it was far slower than that.
        slow_for_it => slow_for_it.map(round),
        // How far the device's clock is behind ours, if it is.
        clock_behind => device.clock_behind.map(|behind| in_words(behind.unsigned_abs())),
    };
    merge_maps([context, Value::from(Serde(device))])
}

/// Returns what the template of a whole message may use; `headline` is that of its only alert.
pub(super) fn of_message(notification: &Notification, headline: Option<String>) -> Value {
    let resolved = notification.notices.iter().filter(|notice| notice.kind == NotificationKind::Resolved).count();
    context! {
        headline,
        // The rule that all its alerts have in common.
        alertname => notification.group.get(ALERTNAME).map(String::as_str),
        // How many of its alerts are firing, are resolved, and are not listed.
        firing => notification.notices.len() - resolved,
        resolved,
        more => notification.more,
    }
}
