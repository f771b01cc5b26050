//! Claims the entries that leave together in one message, under one id.

use std::{collections::BTreeMap, time::Duration};

use pisync_core::{
    models::{Incident, MessageId, OutboxEntry},
    store::{Alerts, HeldGroup, Saved, StoreError, VersionedIncident},
};

use super::{LISTED, Outbox, entry_of, receiver_of};
use crate::receivers::Receiver;

/// The maximum number of incidents in one message, listed and counted.
const MOST: usize = 10_000;

/// A message whose entries are all claimed.
pub(super) struct Claimed {
    pub(super) message: MessageId,
    pub(super) receiver: String,
    pub(super) group: BTreeMap<String, String>,
    /// The incidents with an entry in it.
    pub(super) entries: Vec<VersionedIncident>,
    /// The number of attempts, this one included.
    pub(super) attempts: i32,
    /// The minimum time until the next message of its group.
    pub(super) interval: Duration,
}

impl Outbox {
    /// Claims the next message of a held group: one that was claimed before, or else a new one of all waiting
    /// entries.
    pub(super) async fn claim(&self, group: &str, held: &HeldGroup) -> Result<Option<Claimed>, StoreError> {
        let again = self.store.alerts().claimed(group).await?;
        let again = again.iter().find_map(|kept| first_of(&kept.incident, group)?.message.clone());
        let message = again.clone().map_or_else(fresh, Ok)?;
        let (mut waiting, now) = (self.waiting(group, again.as_ref()).await?, held.now());
        if !waiting.iter().any(|kept| first_of(&kept.incident, group).is_some_and(|entry| entry.next_at <= now)) {
            return Ok(None);
        }
        if self.claim_each(&mut waiting, group, &message, held).await? == Saved::Conflict {
            waiting = self.claim_rest(group, again.as_ref(), &message, held).await?;
        }
        Ok(self.claimed(message, waiting))
    }

    /// Returns the incidents for a message: those of the claimed message `again`, or those without a message.
    async fn waiting(&self, group: &str, again: Option<&MessageId>) -> Result<Vec<VersionedIncident>, StoreError> {
        let alerts = self.store.alerts();
        let mut waiting = match again {
            Some(message) => alerts.of_message(group, message).await?,
            None => alerts.unclaimed(group, self.most(group)).await?,
        };
        waiting.retain(|kept| first_of(&kept.incident, group).is_some_and(|entry| entry.message.as_ref() == again));
        Ok(waiting)
    }

    /// Completes a claim after a conflict with other writers. All entries of an earlier attempt have to be
    /// claimed again, since the receiver may know the message id.
    async fn claim_rest(
        &self,
        group: &str,
        again: Option<&MessageId>,
        message: &MessageId,
        held: &HeldGroup,
    ) -> Result<Vec<VersionedIncident>, StoreError> {
        let alerts = self.store.alerts();
        let is_ours = |kept: &VersionedIncident| {
            entry_of(&kept.incident, message).is_some_and(|entry| entry.lease_until == Some(held.lease_until))
        };
        loop {
            let mut claimed = alerts.of_message(group, message).await?;
            let mut waiting = self.waiting(group, again).await?;
            waiting.retain(|kept| !is_ours(kept));
            if again.is_none() {
                waiting.truncate(self.most(group).saturating_sub(claimed.len()));
            }
            if waiting.is_empty() {
                claimed.retain(is_ours);
                return Ok(claimed);
            }
            // Read again, whether or not all of it was saved.
            let (Saved::All | Saved::Conflict | Saved::Refused) =
                self.claim_each(&mut waiting, group, message, held).await?;
        }
    }

    /// Writes the message id to these incidents. If all are saved, `waiting` is up to date.
    async fn claim_each(
        &self,
        waiting: &mut [VersionedIncident],
        group: &str,
        message: &MessageId,
        held: &HeldGroup,
    ) -> Result<Saved, StoreError> {
        let mut all = Saved::All;
        for some in waiting.chunks_mut(Alerts::BATCH_SIZE) {
            for kept in &mut *some {
                claim_first(&mut kept.incident, group, message, held);
            }
            match self.store.alerts().save(some).await? {
                Saved::All => {}
                Saved::Conflict => all = Saved::Conflict,
                // Sent without its claim, it would be sent again and again.
                Saved::Refused => return Err(unclaimable(group)),
            }
            self.crash.pass("during_message_claim");
            for kept in some {
                kept.revision = kept.revision.saved();
            }
        }
        Ok(all)
    }

    fn most(&self, group: &str) -> usize {
        let lists_all = self.receivers.current().receiver(receiver_of(group)).is_some_and(Receiver::lists_all);
        if lists_all { LISTED } else { MOST }
    }

    fn claimed(&self, message: MessageId, entries: Vec<VersionedIncident>) -> Option<Claimed> {
        let first = entries.first()?;
        let entry = entry_of(&first.incident, &message)?.clone();
        let attempts = entries.iter().filter_map(|kept| entry_of(&kept.incident, &message)).map(|entry| entry.attempts);
        let attempts = attempts.max().unwrap_or(1);
        let routes = self.receivers.current().routes(&first.incident.alert);
        let interval = routes.iter().find(|route| route.receiver == entry.receiver).map(|route| route.group_interval);
        Some(Claimed {
            message,
            receiver: entry.receiver,
            group: entry.group,
            entries,
            attempts,
            interval: interval.unwrap_or_default(),
        })
    }
}

/// Returns the entry of an incident that may leave to the group's receiver. Entries of one incident leave in
/// their order.
fn first_of<'a>(incident: &'a Incident, group: &str) -> Option<&'a OutboxEntry> {
    let of_group = incident.outbox.iter().find(|entry| entry.group_key() == group)?;
    incident.outbox.iter().find(|entry| entry.receiver == of_group.receiver).filter(|entry| entry.group_key() == group)
}

fn unclaimable(group: &str) -> StoreError {
    let name = format!("an incident of the group {group} cannot be saved, so its message is not sent");
    StoreError::Refused { code: 121, name }
}

fn fresh() -> Result<MessageId, StoreError> {
    MessageId::random().map_err(|_| StoreError::Unavailable("the operating system gives no random bytes".into()))
}

fn claim_first(incident: &mut Incident, group: &str, message: &MessageId, held: &HeldGroup) {
    let Some(seq) = first_of(incident, group).map(|entry| entry.seq) else { return };
    for entry in incident.outbox.iter_mut().filter(|entry| entry.seq == seq) {
        entry.message = Some(message.clone());
        entry.lease_until = Some(held.lease_until);
        // Not due again before the lease of this sender ends.
        entry.next_at = held.lease_until;
        entry.attempts += 1;
    }
}
