//! A secret that all API processes share without being told: what they seal cursors with.

use deadpool_redis::redis;

use super::{Queue, QueueError};

impl Queue {
    /// The key of the cursors; the first process that asks makes it.
    pub async fn cursor_key(&self) -> Result<Vec<u8>, QueueError> {
        let key = self.keys.shared("cursor-key");
        if let Some(made) = self.redis.query(redis::cmd("GET").arg(&key)).await? {
            return Ok(made);
        }
        let mut random = [0; 32];
        getrandom::fill(&mut random).map_err(|_| QueueError::Unavailable("no random numbers".into()))?;
        // Another process may be first; then nothing is set, and its key is read.
        self.redis.query::<Option<String>>(redis::cmd("SET").arg(&key).arg(&random[..]).arg("NX")).await?;
        let made: Option<Vec<u8>> = self.redis.query(redis::cmd("GET").arg(&key)).await?;
        made.ok_or_else(|| QueueError::Unavailable("the key of the cursors is gone".into()))
    }
}
