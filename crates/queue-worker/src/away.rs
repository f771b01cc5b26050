//! Partitions whose server does not answer. A worker skips them until it does, so that they delay no other
//! partition.

use std::{
    collections::BTreeSet,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use futures_util::future::join_all;
use pisync_core::queue::{Partition, Queue};
use tokio::time::sleep;

/// The interval at which skipped partitions are asked again.
const INTERVAL: Duration = Duration::from_millis(500);

/// The partitions that are skipped.
#[derive(Debug, Default)]
pub struct Away(Mutex<BTreeSet<Partition>>);

impl Away {
    /// Skips a partition from now on.
    pub fn add(&self, partition: Partition) {
        self.lock().insert(partition);
    }

    /// Returns whether a partition is skipped.
    pub fn contains(&self, partition: Partition) -> bool {
        self.lock().contains(&partition)
    }

    /// Asks the skipped partitions again, for ever, and takes back each that answers.
    pub async fn watch(&self, queue: &Queue) {
        loop {
            sleep(INTERVAL).await;
            let left_out: Vec<_> = self.lock().iter().copied().collect();
            let asked = left_out.into_iter().map(async |partition| {
                if queue.status(partition).await.is_ok() {
                    self.lock().remove(&partition);
                }
            });
            join_all(asked).await;
        }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeSet<Partition>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
