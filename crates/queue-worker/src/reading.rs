//! What a batch holds, read so that a message which kills its worker is found.
//!
//! A batch is read at once. When a worker dies while it reads, the next one reads one message at a
//! time and writes down first which; if that one dies as well, the message of which it had
//! written is buried. So a deadly message is found in two crashes. A worker that has read a whole
//! batch says so too: one that dies later dies of something else, and nobody is suspected.

use std::collections::HashSet;

use pisync_core::{
    crash::CrashSettings,
    models::{DeadLetter, EventId, Reason, SyncEvent},
    queue::{BadEnvelope, Batch, Fenced, Queue, QueueError, decode},
};
use tokio::task::JoinHandle;

/// The messages of a batch, read.
#[derive(Debug, Default)]
pub struct Contents {
    /// The events, each once, with their place in the batch.
    pub events: Vec<(usize, EventId, SyncEvent)>,
    /// Messages that are no event, or that killed their worker.
    pub dead: Vec<DeadLetter>,
    seen: HashSet<EventId>,
}

/// Reads the messages; of equal events the first is kept.
///
/// Fails when Redis does not answer, and answers [`Fenced::Lost`] by `None`.
pub async fn read(queue: &Queue, batch: &Batch, crash: &CrashSettings) -> Result<Option<Contents>, QueueError> {
    let all = batch.messages.len();
    let mut contents = Contents::default();
    let (careful_from, suspect) = match batch.cursor {
        None if batch.attempt > 1 => (0, None),
        Some(place) if place < all => (place + 1, Some(place)),
        None | Some(_) => (all, None),
    };
    for place in 0..all {
        if Some(place) == suspect {
            let error = "its worker died twice, the second time while it read this message".to_owned();
            contents.dead.push(bury(batch, place, Reason::Deadly, error));
            continue;
        }
        if place >= careful_from && queue.note_cursor(&batch.lease, place).await? == Fenced::Lost {
            return Ok(None);
        }
        contents.take(batch, place, crash);
    }
    let all_read = note_all_read(queue.clone(), batch);
    if batch.cursor.is_some() || batch.attempt > 1 {
        // The cursor may stand on the last message, which must not be suspected of what comes now.
        let _ = all_read.await;
    }
    Ok(Some(contents))
}

impl Contents {
    fn take(&mut self, batch: &Batch, place: usize, crash: &CrashSettings) {
        match decode(&batch.messages[place]) {
            Ok(event) => {
                crash.pass_reading(&event.device_id);
                let id = event.id();
                if self.seen.insert(id) {
                    self.events.push((place, id, event));
                }
            }
            Err(error) => {
                let reason = match error {
                    BadEnvelope::Version(_) => Reason::UnknownVersion,
                    BadEnvelope::Malformed(_) => Reason::Malformed,
                };
                self.dead.push(bury(batch, place, reason, error.to_string()));
            }
        }
    }
}

/// Not waited for at a first attempt: where the word does not arrive, the next worker is careful
/// for nothing.
fn note_all_read(queue: Queue, batch: &Batch) -> JoinHandle<()> {
    let (lease, all) = (batch.lease.clone(), batch.messages.len());
    tokio::spawn(async move {
        if let Err(error) = queue.note_cursor(&lease, all).await {
            log::debug!(batch:% = lease.batch, error:% = error; "the word that all is read did not arrive");
        }
    })
}

/// The dead letter of a message of this batch.
pub fn bury(batch: &Batch, place: usize, reason: Reason, error: String) -> DeadLetter {
    let id = format!("{}-{place}", batch.lease.batch);
    log::warn!(dead_letter = id.as_str(), reason:% = reason, error = error.as_str(); "message buried");
    DeadLetter::new(id, reason, error, batch.attempt, batch.messages[place].clone())
}
