//! The weekly summary of the fleet, sent to the receivers that the config names.
//!
//! In reading order: [`crate::routing::summary`] (when), `figures` (the numbers), and here the sending. The
//! summary is stored before anything is sent, so that each receiver and each attempt gets the same. One alerter
//! claims each receiver's message before it sends.

mod figures;

use futures_util::future::try_join_all;
use jiff::{SignedDuration, Timestamp};
use pisync_core::{models::Summary, presence::LastSeen, queue::Queue, store::StoreError};

use self::figures::Figures;
use crate::{
    incident,
    notification::Delivery,
    outbox::{Outbox, SendOutcome},
    routing::summary::Due,
};

/// The time after the devices were counted in the hour after a week, until its hours have their sums. The same
/// process does both.
const SETTLED: SignedDuration = SignedDuration::from_mins(10);

/// The maximum wait for the sums.
const TIMEOUT: SignedDuration = SignedDuration::from_hours(2);

/// Sends summaries through the outbox's receivers. Cheap to clone.
#[derive(Debug, Clone)]
pub struct SummarySender {
    pub(crate) outbox: Outbox,
    seen: LastSeen,
}

impl SummarySender {
    /// Returns the summaries of a store and a queue. After the outbox's lease, another sender takes over the
    /// message of a dead one.
    pub fn new(outbox: Outbox, queue: Queue) -> Self {
        Self { outbox, seen: LastSeen::new(queue) }
    }

    /// Sends the summary that is due now.
    pub async fn send(&self) -> anyhow::Result<SendOutcome> {
        self.send_at(self.outbox.store.now().await?).await
    }

    /// Sends the summary that is due at this time.
    pub async fn send_at(&self, now: Timestamp) -> anyhow::Result<SendOutcome> {
        let current = self.outbox.receivers.current();
        let Some(plan) = &current.file.summary else { return Ok(SendOutcome::default()) };
        let Some(due) = plan.due(now) else { return Ok(SendOutcome::default()) };
        let Some(summary) = self.summary(&due, now).await? else { return Ok(SendOutcome::default()) };
        let addresses: Vec<_> = plan.receivers.iter().flat_map(|name| current.addresses(name)).collect();
        let each = addresses.iter().map(|address| self.send_to(address, &summary, now));
        let mut outcome = SendOutcome::default();
        try_join_all(each).await?.iter().for_each(|delivery| outcome.count(delivery.as_ref()));
        Ok(outcome)
    }

    /// Returns the stored summary of the week that is due, and stores it if it is new. Returns `None` while its
    /// hours may still get their sums.
    async fn summary(&self, due: &Due, now: Timestamp) -> anyhow::Result<Option<Summary>> {
        let Outbox { store, receivers, .. } = &self.outbox;
        let summaries = store.summaries();
        if let Some(summary) = summaries.find(&due.week).await? {
            return Ok(Some(summary));
        }
        let counted = store.status_hours().find(due.to).await?;
        let is_settled = counted.is_some_and(|counted| counted.taken_at + SETTLED <= now);
        if !is_settled && now < due.at + TIMEOUT {
            return Ok(None);
        }
        let figures = Figures::of(store, &self.seen, due, now).await?;
        summaries.keep(&figures.summary(&receivers.current().messages, due)?).await?;
        // Another alerter may have been first.
        Ok(summaries.find(&due.week).await?)
    }

    async fn send_to(&self, receiver: &str, summary: &Summary, now: Timestamp) -> Result<Option<Delivery>, StoreError> {
        let summaries = self.outbox.store.summaries();
        let Some(attempts) = summaries.claim(summary, receiver, now, self.outbox.lease).await? else { return Ok(None) };
        self.outbox.crash.pass("after_summary_claim");
        let delivery = self.outbox.receivers.send_summary(receiver, summary).await;
        self.outbox.crash.pass("after_summary_send");
        self.outbox.metrics.delivered(&delivery);
        match &delivery {
            Delivery::Sent => summaries.sent(summary, receiver, now).await?,
            Delivery::Again { why, .. } => {
                log::warn!(receiver = receiver; "the summary of {} was not delivered, retrying: {why}", summary.week);
                let wait = incident::wait(attempts, &delivery, fastrand::f64());
                let next_at = now.saturating_add(wait).unwrap_or(Timestamp::MAX);
                summaries.put_off(summary, receiver, next_at, why).await?;
            }
            Delivery::Dead { why } => {
                log::error!(receiver = receiver; "the summary of {} was refused: {why}", summary.week);
                summaries.give_up(summary, receiver, now, why).await?;
            }
        }
        Ok(Some(delivery))
    }
}
