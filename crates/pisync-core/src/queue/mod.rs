//! The queue between the API and the workers: partitioned lists in Redis, each step one atomic script.
//!
//! All keys begin with the prefix of the settings. Those of one partition share a hash tag, so that Redis Cluster keeps
//! them on one node; no script and no command touches keys of two partitions, or of a partition and the whole queue. No
//! key of the queue has a TTL.
//!
//! | key | type | content |
//! | --- | --- | --- |
//! | `pisync:{q:07}:ready` | list | waiting envelopes, oldest first |
//! | `pisync:{q:07}:batch` | list | the envelopes of the batch in flight |
//! | `pisync:{q:07}:lease` | hash | of that batch: `id`, `epoch`, `attempt`, `owner`, `cursor`; `ends`, ms by Redis' clock |
//! | `pisync:{q:07}:dead` | list | dead letters, newest first |
//! | `pisync:{q:07}:stats` | hash | totals: `pushed`, `acked`, `redelivered`, `dead`, `requeued`, `purged`, `moved_out` |
//! | `pisync:{q:07}:seen` | sorted set | device → last-seen time, ms of receipt |
//! | `pisync:{q:07}:hours` | sorted set | start of an hour of rows, s → time of its last rows, ms by Redis' clock |
//! | `pisync:{q:07}:paused` | string | present while the partition is paused |
//! | `pisync:{q:07}:count` | string | the number of partitions since it was first changed; `>` behind it while it changes |
//! | `pisync:partitions` | string | the number of partitions, set by the first process |
//! | `pisync:repartition` | string | present while that number changes: the number of partitions that may hold entries |
//! | `pisync:ended:<session>` | string | a session of the dashboard that was ended early; expires with the session |
//! | `pisync:alerts` | list | hints: ids of devices to evaluate now |
//! | `pisync:heartbeat` | hash | `ingest`, `worker` → last heartbeat of any such process; `alerter` → last completed tick of any, `due:<alerter>` → its next tick, `receivers` → its receivers besides the log; `gap:<from>` → end of a time without an API; ms by Redis' clock |
//! | `pisync:wake` | channel | the number of a partition that is no longer empty |
//!
//! A message is in exactly one of `ready`, `batch`, `dead`, or acknowledged. A batch is claimed under a lease that its
//! worker extends. When the worker dies, the next claim takes the batch over in place. The epoch rises with each
//! takeover and fences the former owner. A `batch` without a lease is handed out by the next claim, so no process has
//! to search for one.

mod claim;
mod dead_letters;
mod hints;
mod lease;
mod pause;
mod producer;
mod push;
mod readiness;
mod rights;
mod status;
mod wake;
mod watch;

use std::sync::Arc;

pub use claim::{BatchId, Claim, ClaimedBatch};
pub use dead_letters::{BuriedLetter, KEPT_DEAD};
pub use hints::Hints;
pub use lease::{LONGEST_LEASE_MS, Lease, LeaseState};
pub use producer::{Producer, PushError};
pub use push::Pushed;
pub use readiness::{Readiness, Refused};
pub use rights::acl_rule;
pub use status::{BatchStatus, Each, Oldest, PartitionStatus};
pub use wake::Wake;

pub use crate::{
    codec::envelope::{BadEnvelope, decode, encode},
    redis::{Partition, QueueError},
};
use crate::{
    redis::{Keys, Redis},
    settings::RedisSettings,
};

/// The queue. Cheap to clone; clones share one connection.
#[derive(Clone, Debug)]
pub struct Queue {
    pub(crate) redis: Redis,
    pub(crate) keys: Arc<Keys>,
}

impl Queue {
    /// Returns a queue with these settings. It does not connect yet; see [`Queue::check`].
    ///
    /// Fails if the settings are invalid for any connection.
    pub fn new(settings: &RedisSettings) -> Result<Self, QueueError> {
        let keys = Arc::new(Keys::new(&settings.key_prefix, settings.partitions));
        Ok(Self { redis: Redis::new(settings, Some(keys.clone()))?, keys })
    }

    /// Checks that Redis answers and has a queue of this many partitions.
    ///
    /// Fails with [`QueueError::Misconfigured`] if waiting will not help.
    pub async fn check(&self) -> Result<(), QueueError> {
        self.redis.check().await
    }

    /// Returns every partition, in order.
    pub fn partitions(&self) -> impl DoubleEndedIterator<Item = Partition> + ExactSizeIterator + use<> {
        self.keys.partitions()
    }

    /// Returns the partition of a device: all its events go through one list, so that they stay in order.
    pub fn partition_of(&self, device_id: &crate::models::DeviceId) -> Partition {
        self.keys.partition_of(device_id)
    }
}
