//! The liveness of the other processes, read from Redis at most once a second.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use pisync_core::{
    presence::{Heartbeat, Liveness},
    queue::{Queue, QueueError},
};
use tokio::{sync::Mutex, time::timeout};

/// Lifetime of an answer.
const FRESH: Duration = Duration::from_millis(900);

/// Timeout of Redis.
const TIMEOUT: Duration = Duration::from_secs(2);

/// The cached liveness. Cheap to clone; clones share it.
#[derive(Debug, Clone)]
pub(crate) struct LivenessCache {
    heartbeat: Heartbeat,
    last: Arc<Mutex<Option<(Instant, Liveness)>>>,
}

impl LivenessCache {
    /// Returns an empty cache.
    pub(crate) fn new(queue: Queue) -> Self {
        Self { heartbeat: Heartbeat::new(queue), last: Arc::default() }
    }

    /// Returns the liveness, at most a second old. Fails if Redis does not answer in time.
    pub(crate) async fn liveness(&self) -> Result<Liveness, QueueError> {
        let mut last = self.last.lock().await;
        if let Some((at, liveness)) = &*last
            && at.elapsed() < FRESH
        {
            return Ok(liveness.clone());
        }
        let liveness = timeout(TIMEOUT, self.heartbeat.liveness()).await;
        let liveness = liveness.unwrap_or_else(|_| Err(QueueError::Unavailable("no liveness in time".into())))?;
        *last = Some((Instant::now(), liveness.clone()));
        Ok(liveness)
    }
}
