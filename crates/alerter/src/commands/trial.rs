//! `alerter test`: sends one made-up incident, firing and resolved, to a receiver.

use std::collections::BTreeMap;

use anyhow::{Context, bail};
use jiff::{SignedDuration, Timestamp};
use pisync_core::models::{Alert, DeviceId, FailureRun, NotificationKind};

use crate::{
    device_context::{DeviceContext, FailedSync},
    notification::{AlertNotification, Delivery, Notification},
    routing::Routing,
};

/// The device of the made-up incident.
const DEVICE: &str = "test-of-the-alerter";

/// The slow speed of its syncs, in Mbps.
const SPEED: f64 = 0.2;

/// Sends both messages of a made-up incident. Returns a line for the operator.
///
/// Fails if the receiver does not exist or does not accept a message.
pub(crate) async fn run(receivers: &Routing, name: &str) -> anyhow::Result<String> {
    let current = receivers.current();
    let messages = current.messages.clone().for_test();
    let receiver = current.file.receivers.iter().find(|receiver| receiver.name == name);
    let receiver = receiver.with_context(|| format!("there is no receiver {name:?} in the config"))?;
    // One time for both messages, or they would belong to two incidents.
    let now = Timestamp::now();
    let kinds = [NotificationKind::Firing, NotificationKind::Resolved];
    for (name, kind) in receiver.addresses().iter().flat_map(|name| kinds.map(|kind| (name, kind))) {
        let notification = notification(name, kind, now)?;
        match receiver.send(&notification, &messages).await {
            Delivery::Sent => {}
            Delivery::Again { why, .. } => bail!("{name} did not accept the {} message: {why}", kind.status()),
            Delivery::Dead { why } => bail!("{name} refused the {} message: {why}", kind.status()),
        }
    }
    Ok(format!("{name} accepted the firing and the resolved message of a made-up incident of the device {DEVICE}"))
}

fn notification(receiver: &str, kind: NotificationKind, now: Timestamp) -> anyhow::Result<Notification> {
    let ago = |hours| now.checked_sub(SignedDuration::from_hours(hours));
    let run = FailureRun { count: 3, since: ago(3)?, last_at: ago(1)?, last_speed: SPEED };
    let mut alert = Alert::device_sync_failing(DeviceId::parse(DEVICE)?, &run);
    alert.ends_at = (kind == NotificationKind::Resolved).then_some(now);
    let failed = |hours| Ok::<_, jiff::Error>(FailedSync { at: ago(hours)?, errors: 5, files: 8, speed: SPEED });
    let context = DeviceContext {
        last_errors: vec![failed(1)?, failed(2)?, failed(3)?],
        last_good_sync: Some(ago(4)?),
        usual_speed: Some(12.0),
        clock_behind: None,
    };
    Ok(Notification {
        id: format!("test-{}-{}", now.as_millisecond(), kind.status()),
        receiver: receiver.to_owned(),
        group: BTreeMap::new(),
        notices: vec![AlertNotification { kind, alert, context }],
        more: 0,
    })
}
