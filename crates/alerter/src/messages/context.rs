//! The variables of templates. Custom and translated templates will use the same, so a member keeps its name
//! and its meaning.

use minijinja::{
    Value, context,
    value::{Serde, merge_maps},
};
use pisync_core::models::{ALERTNAME, DeviceId, NotificationKind};

use super::words::{in_words, minute, round, short, subject};
use crate::notification::{AlertNotification, Notification};

/// Returns the variables of a rule's template. Times are to the minute, speeds in Mbps.
pub(super) fn of_alert(notice: &AlertNotification, floor_mbps: f64) -> Value {
    let AlertNotification { kind, alert, context: device } = notice;
    let finding = alert.finding.as_ref();
    let (part, whole) = finding.map(|finding| (finding.part, finding.whole)).unwrap_or_default();
    let changed = finding.map(|finding| finding.changed.join("; ")).filter(|changed| !changed.is_empty());
    let named: Vec<_> = finding.iter().flat_map(|finding| &finding.examples).map(DeviceId::as_str).collect();
    let slow_for_it =
        alert.evidence.filter(|evidence| evidence.speed >= floor_mbps).and_then(|evidence| evidence.usual);
    let subject = subject(alert);
    let is_whole = alert.device_id().is_none() && alert.scope().is_none();
    let lasted = alert.ends_at.map(|end| in_words(end.duration_since(alert.starts_at).try_into().unwrap_or_default()));
    let context = context! {
        // `firing`, `repeat` (still firing, long after people were notified) or `resolved`.
        kind => kind.as_str(),
        alertname => alert.name.as_str(),
        // The start of a headline: the device, the part of the fleet, or "PiSync". A long name is shortened.
        who => if is_whole { "PiSync".to_owned() } else { short(&subject) },
        // The same in full.
        subject,
        // `connectivity`, `content` or `unknown`.
        cause => alert.cause.as_str(),
        starts_at => minute(alert.starts_at),
        // The end and the duration, once it is resolved.
        ends_at => alert.ends_at.map(minute),
        lasted,
        // The number of failed syncs, or of failing devices.
        failure_count => alert.failure_count,
        // The number of affected devices, and of all. For a flapping device, the number of changes and of
        // possible changes.
        part,
        whole,
        // Further facts of the rule, by name.
        facts => finding.map(|finding| Value::from(Serde(&finding.facts))),
        // The properties that failing devices have in common.
        changed => changed.filter(|_| *kind != NotificationKind::Resolved),
        // Some of the devices by name, and the number of others.
        more => part.saturating_sub(named.len() as u64),
        named => named.join(", "),
        // The speed that the cause was judged by, if it was measured. The newest failed sync may be another by
        // now.
        speed => alert.evidence.map(|evidence| evidence.speed).filter(|speed| *speed > 0.0).map(round),
        // The speed below which the cause is the connection.
        floor => round(floor_mbps),
        // The typical speed, if the cause is the connection because the sync was far slower.
        slow_for_it => slow_for_it.map(round),
        // The lag of the device's clock behind ours, if there is one.
        clock_behind => device.clock_behind.map(|behind| in_words(behind.unsigned_abs())),
    };
    merge_maps([context, Value::from(Serde(device))])
}

/// Returns the variables of a whole message's template. `headline` is set if the message has one alert.
pub(super) fn of_message(notification: &Notification, headline: Option<String>) -> Value {
    let resolved = notification.notices.iter().filter(|notice| notice.kind == NotificationKind::Resolved).count();
    context! {
        headline,
        // The rule that all its alerts have in common.
        alertname => notification.group.get(ALERTNAME).map(String::as_str),
        // The number of its alerts that are firing, that are resolved, and that are not listed.
        firing => notification.notices.len() - resolved,
        resolved,
        more => notification.more,
    }
}
