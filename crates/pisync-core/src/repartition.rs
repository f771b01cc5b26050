//! Changing the number of partitions: close, drain, move, switch.
//!
//! Each step may be repeated, by the same or another process, after any of them has died. Entries are copied first and
//! removed last, and the number itself is written at the very end. Meanwhile every push is refused, so that no device
//! has events in two partitions at once.

use std::{collections::HashMap, sync::Arc};

use deadpool_redis::redis::{self, FromRedisValue};
use jiff::Timestamp;

use crate::{
    models::DeviceId,
    presence::{LastSeen, timestamp},
    queue::{BuriedLetter, Partition, Queue, QueueError, decode},
    redis::{Keys, Redis},
    settings::RedisSettings,
};

/// The number of entries moved in one step, as the server counts.
const BATCH_SIZE: usize = 1_000;

/// A change of the number of partitions. Call its methods in their order.
#[derive(Debug)]
pub struct Repartition {
    old: Queue,
    new: Queue,
    /// Every partition that may hold entries, of this change or of an unfinished one.
    span: Queue,
    begun: bool,
}

/// The entries moved to other partitions.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Moved {
    /// Devices with last-seen times.
    pub devices: usize,
    /// Dead letters.
    pub dead_letters: usize,
}

impl Repartition {
    /// Reads the queue's number of partitions; the number in the settings does not matter.
    pub async fn look(settings: &RedisSettings, to: u16) -> Result<Self, QueueError> {
        let redis = Redis::new(settings, None)?;
        let of = |count| Queue { redis: redis.clone(), keys: Arc::new(Keys::new(&settings.key_prefix, count)) };
        let new = of(to);
        let number = async |key| redis.query::<Option<u16>>(redis::cmd("GET").arg(new.keys.shared(key))).await;
        let (from, begun) = (number("partitions").await?.unwrap_or(to), number("repartition").await?);
        let span = of(from.max(to).max(begun.unwrap_or_default()));
        Ok(Self { old: of(from), new, span, begun: begun.is_some() })
    }

    /// Returns the number of partitions until now.
    pub fn from(&self) -> u16 {
        self.old.keys.count()
    }

    /// Returns whether there is nothing to do: the number is right, and no change is unfinished.
    pub fn is_done(&self) -> bool {
        !self.begun && self.old.keys.count() == self.new.keys.count()
    }

    /// Returns whether a partition is paused, so that it would never be drained.
    pub async fn is_paused(&self) -> Result<bool, QueueError> {
        Ok(self.old.status_of_all().await?.iter().any(|status| status.paused))
    }

    /// Closes every partition: pushes are refused, and claims continue.
    pub async fn close(&self) -> Result<(), QueueError> {
        self.set("repartition", self.span.keys.count()).await?;
        self.mark(&format!("{}>", self.old.keys.count())).await
    }

    /// Returns the number of messages waiting or in flight.
    pub async fn remaining(&self) -> Result<u64, QueueError> {
        let status = self.span.status_of_all().await?;
        Ok(status.iter().map(|status| status.ready + status.in_flight()).sum())
    }

    /// Reopens the partitions, if draining takes too long.
    pub async fn reopen(&self) -> Result<(), QueueError> {
        self.mark(&self.old.keys.count().to_string()).await?;
        self.unset("repartition").await
    }

    /// Shuts out all processes with the old number, moves the rest of the drained partitions, and sets the new number.
    ///
    /// Fails if messages wait or are in flight: [`Repartition::remaining`] must have been 0 after
    /// [`Repartition::close`].
    pub async fn finish(&self) -> Result<Moved, QueueError> {
        if self.remaining().await? > 0 {
            return Err(QueueError::Unavailable("events wait in the old partitions".into()));
        }
        self.mark(&self.new.keys.count().to_string()).await?;
        let mut moved = Moved::default();
        for partition in self.span.partitions() {
            moved.devices += self.move_devices(partition).await?;
            moved.dead_letters += self.move_dead_letters(partition).await?;
            if partition.number() >= self.new.keys.count() {
                self.move_hours(partition).await?;
                self.move_totals(partition).await?;
            }
        }
        self.set("partitions", self.new.keys.count()).await?;
        self.unset("repartition").await?;
        Ok(moved)
    }

    /// Writes into each partition the number that is in force.
    async fn mark(&self, count: &str) -> Result<(), QueueError> {
        for partition in self.span.partitions() {
            let key = self.span.keys.of(partition, "count");
            self.query::<()>(redis::cmd("SET").arg(key).arg(count)).await?;
        }
        Ok(())
    }

    async fn move_devices(&self, from: Partition) -> Result<usize, QueueError> {
        let (key, seen) = (self.span.keys.of(from, "seen"), LastSeen::new(self.new.clone()));
        let (mut cursor, mut moved) = (0_u64, 0);
        loop {
            let mut scan = redis::cmd("ZSCAN");
            scan.arg(&key).arg(cursor).arg("COUNT").arg(BATCH_SIZE);
            let (next, found): (u64, Vec<(Vec<u8>, f64)>) = self.query(&scan).await?;
            let there = |(device, score): (Vec<u8>, f64)| Some((read(&device)?, timestamp(score)?));
            let mut moving: Vec<(DeviceId, Timestamp)> = found.into_iter().filter_map(there).collect();
            moving.retain(|(device, _)| self.new.partition_of(device) != from);
            if !moving.is_empty() {
                seen.restore(&moving).await?;
                let ids: Vec<_> = moving.iter().map(|(device, _)| device.as_str()).collect();
                self.query::<()>(redis::cmd("ZREM").arg(&key).arg(ids)).await?;
            }
            moved += moving.len();
            if next == 0 {
                return Ok(moved);
            }
            cursor = next;
        }
    }

    /// Moves the dead letters. A letter is in its device's partition, so that requeueing puts it among that device's
    /// events.
    async fn move_dead_letters(&self, from: Partition) -> Result<usize, QueueError> {
        let mut moved = 0;
        for buried in self.span.dead_letters(from, 0, usize::MAX).await?.iter().rev() {
            let to = self.place_of(buried);
            if to == from {
                continue;
            }
            let (there, here) = (self.new.keys.of(to, "dead"), self.span.keys.of(from, "dead"));
            let copied: Option<u64> = self.query(redis::cmd("LPOS").arg(&there).arg(&buried.raw)).await?;
            if copied.is_none() {
                self.query::<()>(redis::cmd("LPUSH").arg(&there).arg(&buried.raw)).await?;
            }
            self.query::<()>(redis::cmd("LREM").arg(&here).arg(-1).arg(&buried.raw)).await?;
            moved += 1;
        }
        Ok(moved)
    }

    fn place_of(&self, buried: &BuriedLetter) -> Partition {
        let device = decode(&buried.letter.message).map(|event| event.device_id);
        device.map_or_else(|_| self.folded(buried.partition), |device| self.new.partition_of(&device))
    }

    /// Returns the new partition of entries that belong to no device.
    fn folded(&self, partition: Partition) -> Partition {
        Partition(partition.number() % self.new.keys.count())
    }

    async fn move_hours(&self, from: Partition) -> Result<(), QueueError> {
        let (here, there) = (self.span.keys.of(from, "hours"), self.new.keys.of(self.folded(from), "hours"));
        let hours: Vec<(i64, f64)> =
            self.query(redis::cmd("ZRANGE").arg(&here).arg(0).arg(-1).arg("WITHSCORES")).await?;
        for (hour, touched) in hours {
            self.query::<()>(redis::cmd("ZADD").arg(&there).arg("GT").arg(touched).arg(hour)).await?;
        }
        self.query(redis::cmd("UNLINK").arg(here)).await
    }

    /// Moves the totals. If this is interrupted, one total is counted twice: they are for people.
    async fn move_totals(&self, from: Partition) -> Result<(), QueueError> {
        let (here, there) = (self.span.keys.of(from, "stats"), self.new.keys.of(self.folded(from), "stats"));
        let totals: HashMap<String, u64> = self.query(redis::cmd("HGETALL").arg(&here)).await?;
        for (name, total) in totals {
            self.query::<()>(redis::cmd("HINCRBY").arg(&there).arg(&name).arg(total)).await?;
            self.query::<()>(redis::cmd("HDEL").arg(&here).arg(&name)).await?;
        }
        Ok(())
    }

    async fn set(&self, name: &str, number: u16) -> Result<(), QueueError> {
        self.query(redis::cmd("SET").arg(self.new.keys.shared(name)).arg(number)).await
    }

    async fn unset(&self, name: &str) -> Result<(), QueueError> {
        self.query(redis::cmd("DEL").arg(self.new.keys.shared(name))).await
    }

    async fn query<T: FromRedisValue>(&self, command: &redis::Cmd) -> Result<T, QueueError> {
        self.new.redis.query(command).await
    }
}

/// Returns a device id. A member in another form was written by a person, and stays.
fn read(device: &[u8]) -> Option<DeviceId> {
    DeviceId::parse(std::str::from_utf8(device).ok()?).ok()
}
