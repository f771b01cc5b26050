//! Sending what is due: claim, send, mark. A crash between sends the same message again.

use std::time::Duration;

use anyhow::bail;
use pisync_core::{
    models::AlertState,
    store::{Message, Store},
};

use crate::{
    facts,
    metrics::Metrics,
    notification::{Delivery, Notice, Notification, Reason},
    receivers::Receivers,
};

/// How long a claimed message is left to the alerter that claimed it.
const LEASE: Duration = Duration::from_secs(30);

/// Sends every message that is due now; answers how many.
///
/// Fails where the store is away or a message cannot be sent; that one stays in the outbox and
/// is due again when its lease is over.
pub async fn deliver(store: &Store, receivers: &Receivers, metrics: &Metrics) -> anyhow::Result<usize> {
    let alerts = store.alerts();
    let mut sent = 0;
    while let Some(message) = alerts.claim_message(LEASE).await? {
        for notification in notifications(store, receivers, &message).await {
            let delivery = receivers.send(&notification).await;
            metrics.notified(if delivery == Delivery::Sent { "sent" } else { "failed" });
            if let Delivery::Again { why, .. } | Delivery::Dead { why } = delivery {
                bail!("alert {} to {}: {why}", message.alert.id, notification.receiver);
            }
        }
        alerts.mark_sent(&message).await?;
        sent += 1;
    }
    Ok(sent)
}

async fn notifications(store: &Store, receivers: &Receivers, message: &Message) -> Vec<Notification> {
    let facts = facts::look_up(store, std::slice::from_ref(&message.alert)).await;
    let reason = match message.reason {
        AlertState::Firing => Reason::Firing,
        AlertState::Resolved => Reason::Resolved,
    };
    let notice = |facts| Notice { reason, alert: message.alert.clone(), facts };
    let notices: Vec<_> = facts.into_iter().map(notice).collect();
    let to = |route: crate::receivers::Route| Notification {
        id: format!("{}-{}", message.alert.id, message.seq),
        receiver: route.receiver,
        group: route.group,
        notices: notices.clone(),
        more: 0,
    };
    receivers.routes(&message.alert).into_iter().map(to).collect()
}
