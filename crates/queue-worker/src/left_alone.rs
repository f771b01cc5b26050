//! Partitions that this worker leaves to others for a while, because they hold a message of an unknown version.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use pisync_core::queue::Partition;

/// The time for which a partition is left alone. Workers that know the version claim its batch meanwhile.
const WHILE: Duration = Duration::from_secs(5);

/// The partitions, each with the unknown version and the end of the pause.
#[derive(Debug, Default)]
pub(crate) struct LeftAlone(Mutex<HashMap<Partition, (u32, Instant)>>);

impl LeftAlone {
    /// Leaves a partition alone for 5 seconds. Logs each new version once per partition.
    pub(crate) fn leave(&self, partition: Partition, version: u32) {
        let known = self.partitions().insert(partition, (version, Instant::now() + WHILE));
        if known.is_none_or(|(known, _)| known != version) {
            log::warn!(
                partition = partition.number(), version = version;
                "a message is of a version unknown to this worker: its batch is left to newer workers"
            );
        }
    }

    /// Returns the rest of the time for which a partition is left alone, or `None` if it is not.
    pub(crate) fn left(&self, partition: Partition) -> Option<Duration> {
        let until = self.partitions().get(&partition).map(|(_, until)| *until)?;
        Some(until.saturating_duration_since(Instant::now())).filter(|left| !left.is_zero())
    }

    /// Forgets a partition after its batch was processed.
    pub(crate) fn forget(&self, partition: Partition) {
        self.partitions().remove(&partition);
    }

    fn partitions(&self) -> MutexGuard<'_, HashMap<Partition, (u32, Instant)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
