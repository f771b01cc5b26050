//! Partitions that this worker leaves to others for a while, since a message there is of a version
//! that it does not know.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use pisync_core::queue::Partition;

/// How long a partition is left alone: workers that know the version take its batch meanwhile.
const WHILE: Duration = Duration::from_secs(5);

/// The partitions, each with the version and until when.
#[derive(Debug, Default)]
pub(crate) struct LeftAlone(Mutex<HashMap<Partition, (u32, Instant)>>);

impl LeftAlone {
    /// Leaves a partition alone. It says so once for each partition and version.
    pub(crate) fn leave(&self, partition: Partition, version: u32) {
        let known = self.partitions().insert(partition, (version, Instant::now() + WHILE));
        if known.is_none_or(|(known, _)| known != version) {
            log::warn!(
                partition = partition.number(), version = version;
                "a message is of a version that this worker does not know: its batch is left to newer workers"
            );
        }
    }

    /// Returns how long a partition is still left alone, if it is.
    pub(crate) fn left(&self, partition: Partition) -> Option<Duration> {
        let until = self.partitions().get(&partition).map(|(_, until)| *until)?;
        Some(until.saturating_duration_since(Instant::now())).filter(|left| !left.is_zero())
    }

    /// Notes that a batch of a partition was worked on, so that it is well again.
    pub(crate) fn forget(&self, partition: Partition) {
        self.partitions().remove(&partition);
    }

    fn partitions(&self) -> MutexGuard<'_, HashMap<Partition, (u32, Instant)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
