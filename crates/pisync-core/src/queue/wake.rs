//! Wake-ups: waiting for work without constant polling.

use std::time::Duration;

use deadpool_redis::redis::Msg;
use futures_util::StreamExt;
use tokio::sync::broadcast;

use super::{Partition, Queue};
use crate::backoff::Backoff;

/// The most wake-ups kept for a busy listener; it polls all partitions afterwards anyway.
const KEPT: usize = 1_024;

/// Wake-ups of partitions that were empty and received their first event.
///
/// A wake-up can be lost, since Redis' channels do not keep any. So listeners also poll from time to time.
#[derive(Debug)]
pub struct Wake(broadcast::Receiver<Partition>);

impl Queue {
    /// Starts listening, from now until the last [`Wake`] is dropped, across failures of Redis.
    pub fn wake(&self) -> Wake {
        let (notices, wake) = broadcast::channel(KEPT);
        tokio::spawn(listen(self.clone(), notices));
        Wake(wake)
    }
}

impl Wake {
    /// Returns another listener of the same wake-ups.
    #[must_use]
    pub fn listener(&self) -> Self {
        Self(self.0.resubscribe())
    }

    /// Waits for a wake-up, `longest` at the most; `None` when it is time to poll all partitions.
    pub async fn wait(&mut self, longest: Duration) -> Option<Partition> {
        match tokio::time::timeout(longest, self.0.recv()).await {
            Ok(Ok(partition)) => Some(partition),
            Ok(Err(broadcast::error::RecvError::Lagged(_))) | Err(_) => None,
            Ok(Err(broadcast::error::RecvError::Closed)) => {
                tokio::time::sleep(longest).await;
                None
            }
        }
    }

    /// Drops the wake-ups so far, before polling all partitions.
    pub fn clear(&mut self) {
        self.0 = self.0.resubscribe();
    }
}

async fn listen(queue: Queue, notices: broadcast::Sender<Partition>) {
    let mut backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(2));
    while notices.receiver_count() > 0 {
        if let Ok(listener) = queue.redis.subscribe(&queue.keys.shared("wake")).await {
            backoff.reset();
            let mut messages = listener.into_on_message();
            while let Some(message) = messages.next().await {
                if let Some(partition) = partition_in(&message)
                    && notices.send(partition).is_err()
                {
                    return;
                }
            }
        }
        tokio::time::sleep(backoff.next_wait()).await;
    }
}

fn partition_in(message: &Msg) -> Option<Partition> {
    message.get_payload().ok().map(Partition)
}
