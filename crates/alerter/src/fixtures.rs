//! Fixtures for the tests of several files: times, alerts, and notifications.

use jiff::Timestamp;
use pisync_core::models::{Alert, DeviceId, FailureRun, NotificationKind};

use crate::{
    device_context::DeviceContext,
    messages::{Links, Messages},
    notification::AlertNotification,
};

/// Returns a time of day on 2026-11-24, UTC.
pub(crate) fn at(text: &str) -> Timestamp {
    format!("2026-11-24T{text}:00Z").parse().unwrap()
}

/// Returns the time so many seconds after 1970-01-01T00:00:00Z.
pub(crate) fn second(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

/// Returns the alert of a device that has failed three times in a row since then.
pub(crate) fn failing(device: &str, since: Timestamp) -> Alert {
    let run = FailureRun { count: 3, since, last_at: since, last_speed: 12.5 };
    Alert::device_sync_failing(DeviceId::parse(device).unwrap(), &run)
}

/// Returns a notification of an alert, which ended at 11:30 if it is resolved.
pub(crate) fn notice(kind: NotificationKind, alert: Alert) -> AlertNotification {
    let ends_at = (kind == NotificationKind::Resolved).then(|| at("11:30"));
    AlertNotification { kind, alert: Alert { ends_at, ..alert }, context: DeviceContext::default() }
}

/// Returns messages without links.
pub(crate) fn messages() -> Messages {
    Messages::new(Links::default(), 0.5)
}
