//! Last-seen times of devices: one sorted set per partition, written by the workers.
//!
//! A good sync of a device that is ok leaves its counter unchanged, so the store could find silent devices only by
//! reading rows. Times are those of receipt and only rise, so recording a batch again changes nothing.

use std::{
    collections::{BTreeMap, HashMap},
    sync::LazyLock,
};

use deadpool_redis::redis::{self, FromRedisValue, Script};
use jiff::Timestamp;

use crate::{
    models::DeviceId,
    queue::{Partition, Queue, QueueError},
    time::minute_of,
};

static SEEN: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("scripts/seen.lua")));

/// More than the number of devices; Lua counts exactly up to here.
const MOST: u64 = 1 << 52;

/// The time of the year 9987 up to which scores are read, in milliseconds.
const LAST: i64 = 253_000_000_000_000;

/// A minute in milliseconds.
const MINUTE: i64 = 60_000;

/// The last-seen times and the dirty hours of a queue.
#[derive(Debug, Clone)]
pub struct LastSeen(pub(super) Queue);

impl LastSeen {
    /// Returns those of a queue.
    pub fn new(queue: Queue) -> Self {
        Self(queue)
    }

    /// Records the last-seen times of devices of a partition, and the starts of the `hours` whose rows are now stored.
    /// Both in one step and one round trip; works with a full Redis too.
    ///
    /// At most `most` devices are kept, since ids can be made up; known ones are always updated. Returns the number of
    /// devices left out.
    pub async fn note(
        &self,
        partition: Partition,
        devices: &[(DeviceId, Timestamp)],
        hours: &[Timestamp],
        most: u64,
    ) -> Result<usize, QueueError> {
        let keys = &self.0.keys;
        let mut script = SEEN.key(keys.of(partition, "seen"));
        script.key(keys.of(partition, "hours")).key(keys.of(partition, "count"));
        script.arg(keys.count()).arg(most.min(MOST)).arg(hours.len());
        for hour in hours {
            script.arg(hour.as_second());
        }
        for (device, at) in devices {
            script.arg(at.as_millisecond()).arg(device.as_str());
        }
        let left_out: i64 = self.0.redis.run_at(partition, &script).await?;
        usize::try_from(left_out).map_err(|_| QueueError::PartitionsChanged)
    }

    /// Records last-seen times of devices of any partition, if they are newer than the known ones.
    pub async fn restore(&self, devices: &[(DeviceId, Timestamp)]) -> Result<(), QueueError> {
        let mut by_partition = BTreeMap::<_, Vec<_>>::new();
        for (device, at) in devices {
            by_partition.entry(self.0.partition_of(device)).or_default().push((device.clone(), *at));
        }
        for (partition, devices) in by_partition {
            self.note(partition, &devices, &[], MOST).await?;
        }
        Ok(())
    }

    /// Returns the last-seen times of these devices; unknown devices are left out.
    pub async fn of(&self, devices: &[DeviceId]) -> Result<HashMap<DeviceId, Timestamp>, QueueError> {
        if devices.is_empty() {
            return Ok(HashMap::new());
        }
        let mut by_partition = BTreeMap::<_, Vec<_>>::new();
        for device in devices {
            by_partition.entry(self.0.partition_of(device)).or_default().push(device);
        }
        let scores = by_partition.iter().map(|(partition, devices)| {
            let ids: Vec<_> = devices.iter().map(|device| device.as_str()).collect();
            redis::cmd("ZMSCORE").arg(self.0.keys.of(*partition, "seen")).arg(ids).clone()
        });
        let scores: Vec<Vec<Option<f64>>> = self.0.redis.query_each(&scores.collect::<Vec<_>>()).await?;
        let seen = by_partition.values().flatten().zip(scores.into_iter().flatten());
        Ok(seen.filter_map(|(device, score)| Some(((*device).clone(), timestamp(score?)?))).collect())
    }

    /// Returns the number of devices last seen before `at`.
    pub async fn count_before(&self, at: Timestamp) -> Result<u64, QueueError> {
        let before = format!("({}", at.as_millisecond());
        self.sum(|key| redis::cmd("ZCOUNT").arg(key).arg("-inf").arg(&before).clone()).await
    }

    /// Returns the number of devices last seen at `at` or later.
    pub async fn count_since(&self, at: Timestamp) -> Result<u64, QueueError> {
        self.sum(|key| redis::cmd("ZCOUNT").arg(key).arg(at.as_millisecond()).arg("+inf").clone()).await
    }

    /// Returns the number of devices last seen in each of the last 60 minutes, the current one last. Each device counts
    /// once, so for a fleet that reports hourly this is the distribution of its reports.
    pub async fn by_minute(&self, now: Timestamp) -> Result<Vec<(Timestamp, u64)>, QueueError> {
        let running = minute_of(now).as_millisecond();
        let minutes: Vec<_> = (0..60).rev().map(|back| running - back * MINUTE).collect();
        let keys: Vec<_> = self.0.partitions().map(|partition| self.0.keys.of(partition, "seen")).collect();
        let of_key = |minute: i64, key: &String| {
            redis::cmd("ZCOUNT").arg(key).arg(minute).arg(format!("({}", minute + MINUTE)).clone()
        };
        let each = minutes.iter().flat_map(|minute| keys.iter().map(|key| of_key(*minute, key)));
        let counts: Vec<u64> = self.0.redis.query_each(&each.collect::<Vec<_>>()).await?;
        let sums = counts.chunks(keys.len()).map(|counts| counts.iter().sum());
        let starts = minutes.into_iter().filter_map(|minute| Timestamp::from_millisecond(minute).ok());
        Ok(starts.zip(sums).collect())
    }

    /// Returns the number of all devices.
    pub async fn count(&self) -> Result<u64, QueueError> {
        self.sum(|key| redis::cmd("ZCARD").arg(key).clone()).await
    }

    /// Forgets a device; its next report brings it back.
    pub async fn forget(&self, device: &DeviceId) -> Result<(), QueueError> {
        let key = self.0.keys.of(self.0.partition_of(device), "seen");
        self.0.redis.query(redis::cmd("ZREM").arg(key).arg(device.as_str())).await
    }

    async fn sum(&self, command: impl Fn(String) -> redis::Cmd) -> Result<u64, QueueError> {
        let counts: Vec<u64> = self.of_each("seen", command).await?;
        Ok(counts.into_iter().sum())
    }

    /// Sends one command for a key of every partition, all at once.
    pub(super) async fn of_each<T: FromRedisValue>(
        &self,
        key: &str,
        command: impl Fn(String) -> redis::Cmd,
    ) -> Result<Vec<T>, QueueError> {
        let commands = self.0.partitions().map(|partition| command(self.0.keys.of(partition, key)));
        self.0.redis.query_each(&commands.collect::<Vec<_>>()).await
    }
}

/// Returns the time of a score.
#[expect(clippy::cast_possible_truncation, reason = "milliseconds are whole and below 2^53")]
pub(crate) fn timestamp(score: f64) -> Option<Timestamp> {
    let millis = score as i64;
    // Arithmetic with it must stay within the range of a timestamp.
    (0..LAST).contains(&millis).then(|| Timestamp::from_millisecond(millis).ok())?
}
