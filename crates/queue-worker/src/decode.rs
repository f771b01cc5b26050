//! Reads the contents of a batch, and finds a message that kills its worker.
//!
//! A worker reads a batch at once and then notes that it has. If it dies before the note, a message may be the
//! cause. The next worker has the batch read by a child process first ([`crate::poison_check`]). A message that
//! kills the child twice, the second time alone, becomes a dead letter. So a deadly message costs one worker. A
//! worker killed for another reason, however often, makes no message suspect.

use std::collections::HashSet;

use pisync_core::{
    crash::CrashSettings,
    models::{DeadLetter, EventId, Reason, SyncEvent},
    queue::{BadEnvelope, ClaimedBatch, Queue, decode},
};

use crate::{poison_check, repeats::Again};

/// The messages of a batch, decoded.
#[derive(Debug, Default)]
pub struct Contents {
    /// The events, each once.
    pub rows: Vec<(EventId, SyncEvent)>,
    /// The index of each event in the batch.
    pub places: Vec<usize>,
    /// Messages that are not events, or that killed their worker.
    pub dead: Vec<DeadLetter>,
    /// Further reports of the same rows that may be repeats.
    pub again: Vec<Again>,
    seen: HashSet<EventId>,
}

/// The error for a message of an unknown version. Its batch is for workers that know the version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a message has the version {0}, which this worker does not know")]
pub struct UnknownVersion(pub u32);

/// Decodes the messages; of equal events the first is kept.
///
/// Fails before any effect if a message is of another version.
pub async fn read(queue: &Queue, batch: &ClaimedBatch, crash: &CrashSettings) -> Result<Contents, UnknownVersion> {
    let deadly =
        if batch.attempt > 1 && batch.cursor.is_none() { check_for_poison(batch, crash).await } else { Vec::new() };
    let (mut contents, mut malformed) = (Contents::of_up_to(batch.messages.len()), Vec::new());
    for place in 0..batch.messages.len() {
        if deadly.contains(&place) {
            let error = "its worker died, and so did, twice, a process that read this message".to_owned();
            contents.dead.push(bury(batch, place, Reason::Deadly, error));
        } else {
            match decode(&batch.messages[place]) {
                Ok(event) => contents.take(place, event, crash),
                Err(BadEnvelope::Version(version)) => return Err(UnknownVersion(version)),
                Err(error @ BadEnvelope::Malformed(_)) => malformed.push((place, error)),
            }
        }
    }
    let buried = malformed.into_iter().map(|(place, error)| bury(batch, place, Reason::Malformed, error.to_string()));
    contents.dead.extend(buried);
    note_all_read(queue.clone(), batch);
    Ok(contents)
}

/// Returns the indexes of deadly messages. Empty if no child process can be started.
async fn check_for_poison(batch: &ClaimedBatch, crash: &CrashSettings) -> Vec<usize> {
    log::info!(batch:% = batch.lease.batch, attempt = batch.attempt; "its worker died while it read the batch: looking for a deadly message");
    poison_check::deadly(&batch.messages, crash).await.unwrap_or_else(|error| {
        log::warn!(batch:% = batch.lease.batch, error:% = error; "the batch cannot be checked for a deadly message");
        Vec::new()
    })
}

impl Contents {
    fn of_up_to(messages: usize) -> Self {
        Self {
            rows: Vec::with_capacity(messages),
            places: Vec::with_capacity(messages),
            seen: HashSet::with_capacity(messages),
            ..Self::default()
        }
    }

    fn take(&mut self, place: usize, event: SyncEvent, crash: &CrashSettings) {
        crash.pass_reading(&event.device_id);
        let id = event.id();
        if self.seen.insert(id) {
            self.places.push(place);
            self.rows.push((id, event));
        } else if event.may_repeat() {
            self.again.push(Again { id, device_id: event.device_id, received_at: event.received_at });
        }
    }
}

/// Notes that all messages were read, in the background. If the note is lost, the batch is checked once without
/// need.
fn note_all_read(queue: Queue, batch: &ClaimedBatch) {
    let (lease, all) = (batch.lease.clone(), batch.messages.len());
    tokio::spawn(async move {
        if let Err(error) = queue.note_cursor(&lease, all).await {
            log::debug!(batch:% = lease.batch, error:% = error; "the note that all messages were read did not arrive");
        }
    });
}

/// Returns the dead letter of a message of this batch, and logs it.
pub fn bury(batch: &ClaimedBatch, place: usize, reason: Reason, error: String) -> DeadLetter {
    let id = format!("{}-{place}", batch.lease.batch);
    log::warn!(dead_letter = id.as_str(), reason:% = reason, error = error.as_str(); "message became a dead letter");
    DeadLetter::new(id, reason, error, batch.attempt, batch.messages[place].clone())
}
