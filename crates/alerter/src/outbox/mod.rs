//! Sends due messages: claim, send, mark. After a crash in between, the same message is sent again.
//!
//! A message holds the due entries of one group, for one receiver. The group is leased meanwhile, so that it
//! has one sender. The claim writes the message's id to each entry before anything is sent. After a crash,
//! another sender finds the entries by this id. If the claim itself was cut short, entries with the id leave in
//! this message, and the others in the next.

mod claim;

use std::{
    collections::{HashMap, HashSet},
    convert::Infallible,
    sync::Arc,
    time::Duration,
};

use futures_util::{StreamExt, future::LocalBoxFuture, stream::FuturesUnordered};
use jiff::Timestamp;
use pisync_core::{
    crash::CrashSettings,
    models::{Incident, MessageId, OutboxEntry},
    store::{Alerts, HeldGroup, Saved, Store, StoreError, VersionedIncident, detached},
};
use tokio::{sync::Semaphore, time::sleep};

use self::claim::Claimed;
use crate::{
    device_context,
    incident::{self, Trigger},
    metrics::Metrics,
    notification::{AlertNotification, Delivery, Notification},
    routing::Routing,
};

/// The maximum number of alerts that one message lists.
pub const LISTED: usize = 50;

/// The maximum number of messages in flight to one receiver.
const SENDS_AT_A_TIME: usize = 8;

/// The timeout of one message, so that a `MongoDB` that hangs does not stop a group for ever.
const STEP_TIMEOUT: Duration = Duration::from_mins(2);

/// Sends messages. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Outbox {
    pub(crate) store: Store,
    pub(crate) receivers: Routing,
    pub(crate) lease: Duration,
    owner: Arc<str>,
    pub(crate) crash: CrashSettings,
    pub(crate) metrics: Metrics,
}

/// The result of sending.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SendOutcome {
    /// The number of messages sent.
    pub sent: usize,
    /// The number of messages that failed, for now or for good.
    pub failed: usize,
}

impl Outbox {
    /// Returns the outbox of a store. After `lease`, another sender takes over the group of a dead one.
    ///
    /// Fails if the operating system gives no random bytes.
    pub fn new(
        store: Store,
        receivers: Routing,
        lease: Duration,
        crash: CrashSettings,
        metrics: Metrics,
    ) -> anyhow::Result<Self> {
        let owner = MessageId::random()?.as_str().into();
        Ok(Self { store, receivers, lease, owner, crash, metrics })
    }

    /// Sends all due messages, and waits for the result.
    ///
    /// Fails if the store is away. An undelivered message is no error: it is counted, and due again later.
    pub async fn deliver(&self) -> anyhow::Result<SendOutcome> {
        let mut outcome = SendOutcome::default();
        let mut sending = Sending::default();
        sending.begin(self, self.store.alerts().due_groups().await?);
        while let Some(one) = sending.next().await {
            let one = one?;
            outcome.sent += one.sent;
            outcome.failed += one.failed;
        }
        Ok(outcome)
    }

    /// Sends all due messages of a group, one after the other, as long as they are accepted. Messages without a
    /// pause between them share one lease.
    async fn deliver_group(&self, group: &str) -> Result<SendOutcome, StoreError> {
        let (mut outcome, mut still_held) = (SendOutcome::default(), None);
        while let Some(held) = self.hold(group, still_held.take()).await? {
            let step = tokio::select! {
                step = self.step(group, &held) => step,
                never = self.keep_holding(group) => match never {},
                () = sleep(STEP_TIMEOUT) => return Err(hangs()),
            };
            let rest = if let Ok(Some((_, rest))) = &step { Some(*rest) } else { None };
            let goes_on = rest == Some(Duration::ZERO);
            if goes_on && held.age() < self.lease / 3 {
                still_held = Some(held);
            } else {
                self.store.alerts().release_group(&held, rest.unwrap_or_default()).await?;
            }
            outcome.count(step?.map(|(delivery, _)| delivery).as_ref());
            if !goes_on {
                break;
            }
        }
        Ok(outcome)
    }

    /// Takes the lease of a group, or keeps the one it has. Returns `None` if another sender holds it.
    async fn hold(&self, group: &str, still_held: Option<HeldGroup>) -> Result<Option<HeldGroup>, StoreError> {
        if still_held.is_some() {
            return Ok(still_held);
        }
        let alerts = self.store.alerts();
        let hold = alerts.hold_group(group, &self.owner, self.lease);
        tokio::time::timeout(STEP_TIMEOUT, hold).await.unwrap_or_else(|_| Err(hangs()))
    }

    /// Renews the lease of a group, for ever, since a slow receiver is no dead sender.
    async fn keep_holding(&self, group: &str) -> Infallible {
        loop {
            sleep(self.lease / 3).await;
            // Detached, since the message may leave meanwhile and nobody waits for this any more.
            let (alerts, owner, lease, held) = (self.store.alerts(), self.owner.clone(), self.lease, group.to_owned());
            let renewed = detached(lease, async move { alerts.hold_group(&held, &owner, lease).await }).await;
            if let Err(error) = renewed.map_err(StoreError::from).and_then(|renewed| renewed) {
                log::warn!(group = group, error:% = error; "the lease of a message was not renewed");
            }
        }
    }

    /// Sends one message of a held group. Returns the result and the pause for the group; `None` if nothing is
    /// due.
    async fn step(&self, group: &str, held: &HeldGroup) -> Result<Option<(Delivery, Duration)>, StoreError> {
        if held.not_before > held.now() {
            self.store.alerts().put_off(group, held.not_before).await?;
            return Ok(None);
        }
        let Some(claimed) = self.claim(group, held).await? else { return Ok(None) };
        self.crash.pass("after_message_claim");
        let delivery = self.receivers.send(&self.notification(&claimed).await).await;
        self.crash.pass("after_send");
        let now = held.now();
        let wait = incident::wait(claimed.attempts, &delivery, fastrand::f64());
        let next_at = now.saturating_add(wait).unwrap_or(Timestamp::MAX);
        let trigger = Trigger { message: &claimed.message, delivery: &delivery, now, next_at };
        self.mark(group, claimed.entries, &trigger).await?;
        self.crash.pass("after_mark");
        self.metrics.delivered(&delivery);
        if let Delivery::Again { why, .. } | Delivery::Dead { why } = &delivery {
            log::warn!(receiver = claimed.receiver.as_str(), message:% = claimed.message, attempts = claimed.attempts;
                "a message was not delivered: {why}");
        }
        let rest = match delivery {
            Delivery::Sent => claimed.interval,
            Delivery::Again { .. } => {
                // The group keeps its order, and its receiver gets a pause.
                self.store.alerts().put_off(group, next_at).await?;
                Duration::try_from(wait).unwrap_or_default()
            }
            Delivery::Dead { .. } => Duration::ZERO,
        };
        Ok(Some((delivery, rest)))
    }

    async fn notification(&self, claimed: &Claimed) -> Notification {
        let listed = &claimed.entries[..claimed.entries.len().min(LISTED)];
        let alerts = listed.iter().filter_map(|kept| {
            let entry = entry_of(&kept.incident, &claimed.message)?;
            Some((entry.kind, kept.incident.alert.clone()))
        });
        let alerts: Vec<_> = alerts.collect();
        let contexts = device_context::read(&self.store, &alerts).await.into_iter();
        let notices = alerts.into_iter().zip(contexts);
        let notices = notices.map(|((kind, alert), context)| AlertNotification { kind, alert, context });
        Notification {
            id: claimed.message.to_string(),
            receiver: claimed.receiver.clone(),
            group: claimed.group.clone(),
            notices: notices.collect(),
            more: claimed.entries.len() - listed.len(),
        }
    }

    /// Records the result of a message in each of its incidents.
    async fn mark(
        &self,
        group: &str,
        claimed: Vec<VersionedIncident>,
        trigger: &Trigger<'_>,
    ) -> Result<(), StoreError> {
        let alerts = self.store.alerts();
        let mut rest = claimed;
        while !rest.is_empty() {
            let mut is_conflict = false;
            for some in rest.chunks(Alerts::BATCH_SIZE) {
                let incident = |kept: &VersionedIncident| incident::delivered(&kept.incident, trigger);
                let mark = |kept| VersionedIncident { incident: incident(kept), revision: kept.revision };
                let marked: Vec<_> = some.iter().map(mark).collect();
                is_conflict |= alerts.save(&marked).await? == Saved::Conflict;
                self.crash.pass("during_mark");
            }
            if !is_conflict {
                break;
            }
            // Conflict with an evaluation: its write stands, and the result is added to it.
            rest = alerts.of_message(group, trigger.message).await?;
            rest.retain(|kept| entry_of(&kept.incident, trigger.message).is_some_and(OutboxEntry::is_in_flight));
        }
        Ok(())
    }
}

impl SendOutcome {
    /// Counts the result of a message, if there was one.
    pub(crate) fn count(&mut self, delivery: Option<&Delivery>) {
        self.sent += usize::from(delivery == Some(&Delivery::Sent));
        self.failed += usize::from(delivery.is_some_and(|delivery| *delivery != Delivery::Sent));
    }
}

fn hangs() -> StoreError {
    StoreError::Unavailable(format!("a message took longer than {} s, given up", STEP_TIMEOUT.as_secs()))
}

/// Returns the receiver of a group, from the group's key.
fn receiver_of(group: &str) -> &str {
    group.split_once(OutboxEntry::LABELS_BEGIN).map_or(group, |(receiver, _)| receiver)
}

fn entry_of<'a>(incident: &'a Incident, message: &MessageId) -> Option<&'a OutboxEntry> {
    incident.outbox.iter().find(|entry| entry.message.as_ref() == Some(message))
}

/// The groups being sent. A slow receiver delays no other, and none gets too many messages at a time.
#[derive(Debug, Default)]
pub struct Sending {
    groups: HashSet<String>,
    turns: HashMap<String, Arc<Semaphore>>,
    tasks: FuturesUnordered<LocalBoxFuture<'static, (String, Result<SendOutcome, StoreError>)>>,
}

impl Sending {
    /// Starts to send those groups that are not being sent already. Drive it with [`Sending::next`].
    pub fn begin(&mut self, outbox: &Outbox, groups: Vec<String>) {
        for group in groups {
            if self.groups.insert(group.clone()) {
                let receiver = receiver_of(&group).to_owned();
                let turns =
                    self.turns.entry(receiver).or_insert_with(|| Arc::new(Semaphore::new(SENDS_AT_A_TIME))).clone();
                let outbox = outbox.clone();
                self.tasks.push(Box::pin(async move {
                    let _turn = turns.acquire().await;
                    let outcome = outbox.deliver_group(&group).await;
                    (group, outcome)
                }));
            }
        }
    }

    /// Waits for the end of the next group; returns `None` if none is being sent.
    pub async fn next(&mut self) -> Option<Result<SendOutcome, StoreError>> {
        let (group, outcome) = self.tasks.next().await?;
        self.groups.remove(&group);
        Some(outcome)
    }
}
