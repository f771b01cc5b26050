//! Sessions that were ended early, visible to every API process: one key for each, until the session would have
//! expired.

use std::time::Duration;

use deadpool_redis::redis;

use crate::queue::{Queue, QueueError};

impl Queue {
    /// Ends a session by its id. Idempotent.
    pub async fn end_session(&self, id: &str, lasts: Duration) -> Result<(), QueueError> {
        let key = self.keys.shared(&format!("ended:{id}"));
        let seconds = lasts.as_secs().max(1);
        self.redis.query(redis::cmd("SET").arg(key).arg("1").arg("EX").arg(seconds)).await
    }

    /// Returns whether a session was ended early.
    pub async fn is_session_ended(&self, id: &str) -> Result<bool, QueueError> {
        self.redis.query(redis::cmd("EXISTS").arg(self.keys.shared(&format!("ended:{id}")))).await
    }
}
