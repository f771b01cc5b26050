//! Hints from the workers to the alerters: evaluate these devices now.
//!
//! Hints make alerts fast, and correctness does not depend on them: losing all hints loses no alert.

use deadpool_redis::redis;

use super::{Queue, QueueError};
use crate::{models::DeviceId, redis::unreadable};

/// The most hints that are kept. Older ones are dropped; their alerts come with the next tick.
const KEPT: isize = 100_000;

/// The list of hints.
#[derive(Debug, Clone)]
pub struct Hints(Queue);

impl Hints {
    /// Returns the hints of a queue.
    pub fn new(queue: Queue) -> Self {
        Self(queue)
    }

    /// Asks the alerters to evaluate these devices.
    pub async fn leave(&self, devices: &[DeviceId]) -> Result<(), QueueError> {
        if devices.is_empty() {
            return Ok(());
        }
        let key = self.0.keys.shared("alerts");
        for some in devices.chunks(1_000) {
            let ids: Vec<_> = some.iter().map(DeviceId::as_str).collect();
            self.0.redis.query::<()>(redis::cmd("RPUSH").arg(&key).arg(ids)).await?;
        }
        self.0.redis.query(redis::cmd("LTRIM").arg(&key).arg(-KEPT).arg(-1)).await
    }

    /// Takes up to `max` hints, oldest first. A hint that is no device id is dropped.
    pub async fn take(&self, max: usize) -> Result<Vec<DeviceId>, QueueError> {
        let key = self.0.keys.shared("alerts");
        let ids: Option<Vec<Vec<u8>>> = self.0.redis.query(redis::cmd("LPOP").arg(key).arg(max)).await?;
        let read = |id: Vec<u8>| {
            let device = std::str::from_utf8(&id).ok().and_then(|id| DeviceId::parse(id).ok());
            if device.is_none() {
                unreadable("alerts", &id, "expected a device id");
            }
            device
        };
        Ok(ids.unwrap_or_default().into_iter().filter_map(read).collect())
    }
}
