//! Where events wait between the API and the workers: partitioned lists in Redis, each step one
//! atomic script.
//!
//! All keys begin with the prefix of the settings. Those of one partition share a hash tag, so
//! that Redis Cluster keeps them on one node; no script and no command touches keys of two
//! partitions, or one of these and another. No key of the queue has a TTL.
//!
//! | key | type | what |
//! | --- | --- | --- |
//! | `pisync:{q:07}:ready` | list | envelopes that wait, oldest first |
//! | `pisync:{q:07}:batch` | list | the envelopes of the batch in flight |
//! | `pisync:{q:07}:lease` | hash | of that batch: `id`, `epoch`, `attempt`, `owner`, `cursor`; `ends`, ms by Redis' clock |
//! | `pisync:{q:07}:dead` | list | dead letters, newest first |
//! | `pisync:{q:07}:stats` | hash | totals: `pushed`, `acked`, `redelivered`, `dead`, `requeued`, `purged`, `moved_out` |
//! | `pisync:{q:07}:seen` | sorted set | device → when it was last heard of, ms of receipt |
//! | `pisync:{q:07}:hours` | sorted set | start of an hour of rows, s → when it last got rows, ms by Redis' clock |
//! | `pisync:{q:07}:paused` | string | there while the partition hands out nothing |
//! | `pisync:{q:07}:count` | string | the number of partitions since it was first changed; `>` behind it while it changes |
//! | `pisync:partitions` | string | the number of partitions, set by the first process |
//! | `pisync:repartition` | string | there while that number changes: how many partitions may hold something |
//! | `pisync:ended:<session>` | string | a session of the dashboard that was ended before its time; expires when it would have ended |
//! | `pisync:alerts` | list | hints: ids of devices that an alerter should look at now |
//! | `pisync:heartbeat` | hash | `ingest`, `worker` → when any such process was last alive; `alerter` → when any last completed a tick, `due:<alerter>` → when its next one is due, `receivers` → how many it has besides the log; `gap:<from>` → until when no API was; ms by Redis' clock |
//! | `pisync:wake` | channel | the number of a partition that was empty and got its first event |
//!
//! A message is in exactly one of `ready`, `batch`, `dead`, or acknowledged. A batch is claimed under
//! a lease that its worker extends. When the worker dies, the next claim takes the batch over where
//! it lies. The epoch rises with each takeover and fences the former owner. What lies in `batch`
//! without a lease is handed out by the next claim, so nothing has to look for it.

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

pub use claim::{Batch, BatchId, Claim};
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
    /// A queue by its settings. Nothing is asked of Redis yet; see [`Queue::check`].
    ///
    /// Fails where the settings cannot make a connection at all.
    pub fn new(settings: &RedisSettings) -> Result<Self, QueueError> {
        let keys = Arc::new(Keys::new(&settings.key_prefix, settings.partitions));
        Ok(Self { redis: Redis::new(settings, Some(keys.clone()))?, keys })
    }

    /// Whether Redis answers and serves a queue of this many partitions.
    ///
    /// Fails with [`QueueError::Misconfigured`] where waiting will not help.
    pub async fn check(&self) -> Result<(), QueueError> {
        self.redis.check().await
    }

    /// Every partition, in order.
    pub fn partitions(&self) -> impl DoubleEndedIterator<Item = Partition> + ExactSizeIterator + use<> {
        self.keys.partitions()
    }

    /// The partition of a device: all its events go through one list, so that they stay in order.
    pub fn partition_of(&self, device_id: &crate::models::DeviceId) -> Partition {
        self.keys.partition_of(device_id)
    }
}
