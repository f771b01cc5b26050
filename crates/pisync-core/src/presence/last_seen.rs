//! When each device was last heard of: one sorted set per partition, noted by the workers.
//!
//! A good sync of a device that is well leaves no trace in its counter, so the store cannot tell
//! who is silent without reading rows. Times are those of receipt and only rise: noting a batch
//! again changes nothing.

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

/// More devices than there are; Lua counts exactly up to here.
const MOST: u64 = 1 << 52;

/// The time of the year 9987 up to which scores are read, in milliseconds.
const LAST: i64 = 253_000_000_000_000;

/// A minute in milliseconds.
const MINUTE: i64 = 60_000;

/// The sorted sets of when devices were last heard of, and of the hours that have got rows.
#[derive(Debug, Clone)]
pub struct LastSeen(pub(super) Queue);

impl LastSeen {
    /// The times that go with a queue.
    pub fn new(queue: Queue) -> Self {
        Self(queue)
    }

    /// Notes when devices of a partition were heard of, and the starts of the `hours` whose rows
    /// are in the store now: both in one step and one round trip, also in a Redis that is full.
    ///
    /// Of `most` devices at the most, since names can be made up: those that are known are noted
    /// in any case. Answers with how many were left out.
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

    /// Notes when devices of any partition were heard of, where that is not known or earlier.
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

    /// When these devices were last heard of; those of which nothing is known are left out.
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

    /// How many devices were last heard of before `at`.
    pub async fn count_before(&self, at: Timestamp) -> Result<u64, QueueError> {
        let before = format!("({}", at.as_millisecond());
        self.sum(|key| redis::cmd("ZCOUNT").arg(key).arg("-inf").arg(&before).clone()).await
    }

    /// How many devices were last heard of at `at` or later.
    pub async fn count_since(&self, at: Timestamp) -> Result<u64, QueueError> {
        self.sum(|key| redis::cmd("ZCOUNT").arg(key).arg(at.as_millisecond()).arg("+inf").clone()).await
    }

    /// How many devices were last heard of in each minute of the last 60, the running one last. Each
    /// is counted once, so in a fleet that reports once an hour this is when it does.
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

    /// How many devices were ever heard of.
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

    /// Asks one thing of a key of every partition, all at once.
    pub(super) async fn of_each<T: FromRedisValue>(
        &self,
        key: &str,
        command: impl Fn(String) -> redis::Cmd,
    ) -> Result<Vec<T>, QueueError> {
        let commands = self.0.partitions().map(|partition| command(self.0.keys.of(partition, key)));
        self.0.redis.query_each(&commands.collect::<Vec<_>>()).await
    }
}

/// A score as the time that it stands for.
#[expect(clippy::cast_possible_truncation, reason = "milliseconds are whole and below 2^53")]
pub(crate) fn timestamp(score: f64) -> Option<Timestamp> {
    let millis = score as i64;
    // Sums with it must never leave what a clock can show.
    (0..LAST).contains(&millis).then(|| Timestamp::from_millisecond(millis).ok())?
}
