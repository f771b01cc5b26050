//! Who is alive beside this process: asked of Redis at most once a second, whoever wants to know.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use pisync_core::{
    presence::{Heartbeat, Liveness},
    queue::{Queue, QueueError},
};
use tokio::{sync::Mutex, time::timeout};

/// How long an answer is good: who asks more often gets the same.
const FRESH: Duration = Duration::from_millis(900);

/// How long Redis may take.
const TIMEOUT: Duration = Duration::from_secs(2);

/// The liveness of life, shared by all who ask. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct LivenessCache {
    heartbeat: Heartbeat,
    last: Arc<Mutex<Option<(Instant, Liveness)>>>,
}

impl LivenessCache {
    /// Nothing asked yet.
    pub(crate) fn new(queue: Queue) -> Self {
        Self { heartbeat: Heartbeat::new(queue), last: Arc::default() }
    }

    /// Returns who was alive within the last second. Fails if Redis does not answer in time.
    pub(crate) async fn liveness(&self) -> Result<Liveness, QueueError> {
        let mut last = self.last.lock().await;
        if let Some((at, liveness)) = &*last
            && at.elapsed() < FRESH
        {
            return Ok(liveness.clone());
        }
        let liveness = timeout(TIMEOUT, self.heartbeat.liveness()).await;
        let liveness =
            liveness.unwrap_or_else(|_| Err(QueueError::Unavailable("no liveness of life in time".into())))?;
        *last = Some((Instant::now(), liveness.clone()));
        Ok(liveness)
    }
}
