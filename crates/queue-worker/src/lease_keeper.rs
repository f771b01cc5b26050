//! Keeps the lease of a batch while it is processed.

use std::time::Duration;

use pisync_core::queue::{Lease, LeaseState, Queue};
use tokio::{
    task::JoinHandle,
    time::{Instant, sleep},
};
use tokio_util::sync::CancellationToken;

/// Extends a lease every third of its time, in a task of its own, until it is dropped.
#[derive(Debug)]
pub struct LeaseKeeper {
    lost: CancellationToken,
    task: JoinHandle<()>,
}

impl LeaseKeeper {
    /// Starts to extend `lease`, which was just granted for `time`.
    pub fn hold(queue: Queue, lease: Lease, time: Duration) -> Self {
        let lost = CancellationToken::new();
        let task = tokio::spawn(extend(queue, lease, time, lost.clone()));
        Self { lost, task }
    }

    /// Returns the token that is cancelled once the lease is lost or may have expired.
    pub fn lost(&self) -> &CancellationToken {
        &self.lost
    }
}

impl Drop for LeaseKeeper {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn extend(queue: Queue, lease: Lease, time: Duration, lost: CancellationToken) {
    let mut ends = Instant::now() + time;
    let third = time / 3;
    while Instant::now() < ends {
        sleep(third).await;
        let asked = Instant::now();
        match queue.extend(&lease, time).await {
            Ok(LeaseState::Held) => ends = asked + time,
            Ok(LeaseState::Lost) => break,
            // Redis may be back before the lease ends.
            Err(error) => log::debug!(batch:% = lease.batch, error:% = error; "lease not extended"),
        }
    }
    log::warn!(batch:% = lease.batch, partition = lease.partition.number(); "lease lost");
    lost.cancel();
}
