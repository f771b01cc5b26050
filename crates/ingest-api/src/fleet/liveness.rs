//! Who is alive beside this process: asked of Redis at most once a second, whoever wants to know.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use pisync_core::{
    presence::{Pulse, Signs},
    queue::{Queue, QueueError},
};
use tokio::{sync::Mutex, time::timeout};

/// How long an answer is good: who asks more often gets the same.
const FRESH: Duration = Duration::from_millis(900);

/// How long Redis may take.
const TIMEOUT: Duration = Duration::from_secs(2);

/// The signs of life, shared by all who ask. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Liveness {
    pulse: Pulse,
    last: Arc<Mutex<Option<(Instant, Signs)>>>,
}

impl Liveness {
    /// Nothing asked yet.
    pub(crate) fn new(queue: Queue) -> Self {
        Self { pulse: Pulse::new(queue), last: Arc::default() }
    }

    /// Returns who was alive within the last second. Fails if Redis does not answer in time.
    pub(crate) async fn signs(&self) -> Result<Signs, QueueError> {
        let mut last = self.last.lock().await;
        if let Some((at, signs)) = &*last
            && at.elapsed() < FRESH
        {
            return Ok(signs.clone());
        }
        let signs = timeout(TIMEOUT, self.pulse.signs()).await;
        let signs = signs.unwrap_or_else(|_| Err(QueueError::Unavailable("no signs of life in time".into())))?;
        *last = Some((Instant::now(), signs.clone()));
        Ok(signs)
    }
}
