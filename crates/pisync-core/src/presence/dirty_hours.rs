//! Dirty hours: hours that received rows after they were added up, so that their sums are stale.

use std::collections::BTreeMap;

use deadpool_redis::redis;
use jiff::Timestamp;

use super::last_seen::{LastSeen, timestamp};
use crate::{queue::QueueError, redis::unreadable};

impl LastSeen {
    /// Returns the starts of hours in `from..to`, each with the time at which it last received rows, by Redis' clock.
    /// Repeated rows count too. Kept for hours of the last 8 days at least.
    pub async fn touched(&self, from: Timestamp, to: Timestamp) -> Result<BTreeMap<Timestamp, Timestamp>, QueueError> {
        let all = |key| redis::cmd("ZRANGE").arg(key).arg(0).arg(-1).arg("WITHSCORES").clone();
        let found: Vec<Vec<(Vec<u8>, f64)>> = self.of_each("hours", all).await?;
        let mut touched = BTreeMap::new();
        for (member, score) in found.into_iter().flatten() {
            // A member that is no hour was written by a person.
            let hour = std::str::from_utf8(&member).ok().and_then(|hour| hour.parse().ok());
            let hour = hour.and_then(|hour| Timestamp::from_second(hour).ok());
            let (Some(hour), Some(at)) = (hour, timestamp(score)) else {
                unreadable("hours", &member, "expected the seconds of an hour, and a time as its score");
                continue;
            };
            if (from..to).contains(&hour) {
                let last = touched.entry(hour).or_insert(at);
                *last = at.max(*last);
            }
        }
        Ok(touched)
    }

    /// Returns the time by Redis' clock, in whole milliseconds.
    pub async fn now(&self) -> Result<Timestamp, QueueError> {
        let key = self.0.keys.shared("partitions");
        let (seconds, micros): (i64, i64) = self.0.redis.query_at(&key, &redis::cmd("TIME")).await?;
        Timestamp::from_millisecond(seconds * 1_000 + micros / 1_000)
            .map_err(|error| QueueError::Unavailable(format!("its clock cannot be read: {error}")))
    }
}
