//! Once a week: how the fleet did, to the receivers that the config names.
//!
//! In reading order: [`crate::routing::summary`] (when), `figures` (what there is to tell), and here the
//! sending. What is told is written down before anything leaves, so that each receiver and each attempt gets
//! the same; and each receiver's message is taken on by one alerter before it sends.

mod figures;

use futures_util::future::try_join_all;
use jiff::{SignedDuration, Timestamp};
use pisync_core::{models::Summary, presence::LastSeen, queue::Queue, store::StoreError};

use self::figures::Figures;
use crate::{
    incident,
    notification::Delivery,
    outbox::{Outbox, Outcome},
    routing::summary::Due,
};

/// How long after the devices were counted in the hour that follows a week, its hours are taken to
/// be added up: the same process does both.
const SETTLED: SignedDuration = SignedDuration::from_mins(10);

/// How long that is waited for.
const TIMEOUT: SignedDuration = SignedDuration::from_hours(2);

/// Sends summaries, by what the outbox sends by. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Summaries {
    pub(crate) outbox: Outbox,
    seen: LastSeen,
}

impl Summaries {
    /// The summaries of a store and a queue; a message whose sender died is left to it as one of the outbox
    /// is.
    pub fn new(outbox: Outbox, queue: Queue) -> Self {
        Self { outbox, seen: LastSeen::new(queue) }
    }

    /// Sends what is due now.
    pub async fn send(&self) -> anyhow::Result<Outcome> {
        self.send_at(self.outbox.store.now().await?).await
    }

    /// The same as if it were another time.
    pub async fn send_at(&self, now: Timestamp) -> anyhow::Result<Outcome> {
        let current = self.outbox.receivers.current();
        let Some(plan) = &current.file.summary else { return Ok(Outcome::default()) };
        let Some(due) = plan.due(now) else { return Ok(Outcome::default()) };
        let Some(summary) = self.summary(&due, now).await? else { return Ok(Outcome::default()) };
        let addresses: Vec<_> = plan.receivers.iter().flat_map(|name| current.addresses(name)).collect();
        let each = addresses.iter().map(|address| self.send_to(address, &summary, now));
        let mut outcome = Outcome::default();
        try_join_all(each).await?.iter().for_each(|delivery| outcome.count(delivery.as_ref()));
        Ok(outcome)
    }

    /// What is told of the week that is due, as it is written down; nothing while its hours may
    /// still be added up.
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
                log::warn!(receiver = receiver; "the summary of {} was not taken, trying on: {why}", summary.week);
                let wait = incident::wait(attempts, &delivery, fastrand::f64());
                let next_at = now.saturating_add(wait).unwrap_or(Timestamp::MAX);
                summaries.put_off(summary, receiver, next_at, why).await?;
            }
            Delivery::Dead { why } => {
                log::error!(receiver = receiver; "the summary of {} is refused: {why}", summary.week);
                summaries.give_up(summary, receiver, now, why).await?;
            }
        }
        Ok(Some(delivery))
    }
}
