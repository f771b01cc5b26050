//! Partitions whose server does not answer: they are left out until it does, so that they hold up
//! no other.

use std::{
    collections::BTreeSet,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use futures_util::future::join_all;
use pisync_core::queue::{Partition, Queue};
use tokio::time::sleep;

/// How often the partitions that are left out are asked.
const INTERVAL: Duration = Duration::from_millis(500);

/// The partitions that are left out.
#[derive(Debug, Default)]
pub struct Away(Mutex<BTreeSet<Partition>>);

impl Away {
    /// Leaves a partition out from now on.
    pub fn add(&self, partition: Partition) {
        self.lock().insert(partition);
    }

    /// Returns whether a partition is left out.
    pub fn contains(&self, partition: Partition) -> bool {
        self.lock().contains(&partition)
    }

    /// Asks those that are left out, for ever, and takes back each that answers.
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
