//! Sending what is due: claim, send, mark. A crash between sends the same message again.

use std::time::Duration;

use anyhow::Context;
use pisync_core::store::Store;

use crate::{metrics::Metrics, receivers::log::AlertLog};

/// How long a claimed message is left to the alerter that claimed it.
const LEASE: Duration = Duration::from_secs(30);

/// Sends every message that is due now; answers how many.
///
/// Fails where the store is away or a message cannot be sent; that one stays in the outbox and
/// is due again when its lease is over.
pub async fn deliver(store: &Store, log: &AlertLog, metrics: &Metrics) -> anyhow::Result<usize> {
    let alerts = store.alerts();
    let mut sent = 0;
    while let Some(message) = alerts.claim_message(LEASE).await? {
        let outcome = log.send(&message).await;
        metrics.notified(if outcome.is_ok() { "sent" } else { "failed" });
        outcome.with_context(|| format!("writing alert {} to the alert log", message.alert.id))?;
        alerts.mark_sent(&message).await?;
        sent += 1;
    }
    Ok(sent)
}
