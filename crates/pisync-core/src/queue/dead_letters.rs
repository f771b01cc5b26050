//! The dead letters of a partition: one JSON object each, newest first.

use std::sync::LazyLock;

use deadpool_redis::redis::{self, Script};
use jiff::Timestamp;

use super::{Each, Partition, Queue, QueueError};
use crate::{
    models::{DeadLetter, Reason},
    redis::unreadable,
};

static REMOVE: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("scripts/remove_dead.lua")));

/// The most dead letters of one partition that stay in Redis.
pub const KEPT_DEAD: usize = 10_000;

/// The number of letters in one round trip.
const BATCH_SIZE: usize = 500;

/// A dead letter and its partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BuriedLetter {
    /// The partition.
    pub partition: Partition,
    /// The letter.
    pub letter: DeadLetter,
    pub(crate) raw: Vec<u8>,
}

impl Queue {
    /// Returns dead letters of a partition, newest first, after the first `skip`, `max` at the most.
    pub async fn dead_letters(
        &self,
        partition: Partition,
        skip: usize,
        max: usize,
    ) -> Result<Vec<BuriedLetter>, QueueError> {
        let key = self.keys.of(partition, "dead");
        let mut letters = Vec::new();
        while letters.len() < max {
            let from = skip + letters.len();
            let to = from + BATCH_SIZE.min(max - letters.len()) - 1;
            let raws: Vec<Vec<u8>> = self.redis.query(redis::cmd("LRANGE").arg(&key).arg(from).arg(to)).await?;
            if raws.is_empty() {
                break;
            }
            letters.extend(raws.into_iter().map(|raw| BuriedLetter { partition, letter: read(&raw), raw }));
        }
        Ok(letters)
    }

    /// Returns the newest dead letters of every partition, `max` of each at the most, and the partitions that did not
    /// answer.
    ///
    /// Fails if none answered.
    pub async fn dead_letters_of_each(&self, max: usize) -> Result<Each<Vec<BuriedLetter>>, QueueError> {
        self.each(|partition| self.dead_letters(partition, 0, max)).await
    }

    /// Requeues the message of a letter at the end of its partition, and removes the letter in the same step. `false`
    /// if the letter is not there any more.
    pub async fn requeue(&self, buried: &BuriedLetter) -> Result<bool, QueueError> {
        self.take_out(buried, "requeued", Some(&buried.letter.message)).await
    }

    /// Removes a letter. `false` if it is not there any more.
    pub async fn purge(&self, buried: &BuriedLetter) -> Result<bool, QueueError> {
        self.take_out(buried, "purged", None).await
    }

    /// Removes a letter that has been copied to the store, since there are too many.
    pub async fn move_out(&self, buried: &BuriedLetter) -> Result<bool, QueueError> {
        self.take_out(buried, "moved_out", None).await
    }

    async fn take_out(&self, buried: &BuriedLetter, total: &str, message: Option<&[u8]>) -> Result<bool, QueueError> {
        let mut script = REMOVE.key(self.keys.of(buried.partition, "dead"));
        script.key(self.keys.of(buried.partition, "ready")).key(self.keys.of(buried.partition, "stats"));
        script.key(self.keys.of(buried.partition, "count")).arg(&buried.raw).arg(total);
        script.arg(self.keys.shared("wake")).arg(buried.partition.number()).arg(self.keys.count());
        if let Some(message) = message {
            script.arg(message);
        }
        match self.redis.run_at(buried.partition, &script).await? {
            -1 => Err(QueueError::PartitionsChanged),
            taken => Ok(taken == 1),
        }
    }
}

/// Reads a letter. One in another form is still shown, and can be purged.
fn read(raw: &[u8]) -> DeadLetter {
    serde_json::from_slice(raw).unwrap_or_else(|error| {
        unreadable("dead", raw, "expected a dead letter as JSON");
        DeadLetter {
            id: "unreadable".into(),
            reason: Reason::Malformed,
            error: format!("the letter itself cannot be read: {error}"),
            attempt: 0,
            died_at: Timestamp::UNIX_EPOCH,
            message: raw.to_vec(),
        }
    })
}
