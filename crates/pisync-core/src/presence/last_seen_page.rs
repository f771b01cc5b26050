//! The devices in order of their last-seen times, page by page or as a stream.

use std::sync::LazyLock;

use deadpool_redis::redis::Script;
use futures_util::{Stream, StreamExt, future, stream};
use jiff::Timestamp;

use super::last_seen::{LastSeen, timestamp};
use crate::{
    models::DeviceId,
    queue::{Partition, QueueError},
    redis::unreadable,
};

static PAGE: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("scripts/seen_page.lua")));

impl LastSeen {
    /// Returns up to `limit` devices last seen at `from` or later and before `to`, oldest first, ties by device.
    ///
    /// The next page begins `after` the last entry of this one. A device that does not report meanwhile comes exactly
    /// once; one that reports moves on to the end.
    pub async fn page(
        &self,
        from: Option<Timestamp>,
        to: Option<Timestamp>,
        after: Option<(Timestamp, DeviceId)>,
        limit: usize,
    ) -> Result<Vec<(DeviceId, Timestamp)>, QueueError> {
        let after = after.map(|(at, device)| (at, device.as_str().as_bytes().to_vec()));
        let of = |partition| self.entries(partition, [from, to], after.as_ref(), limit);
        // Sent together over the one connection, in one round trip.
        let found = future::try_join_all(self.0.partitions().map(of)).await?.into_iter().flatten();
        let mut entries: Vec<_> = found.filter_map(|entry| read(&entry)).map(|(device, at)| (at, device)).collect();
        entries.sort_unstable();
        entries.truncate(limit);
        Ok(entries.into_iter().map(|(at, device)| (device, at)).collect())
    }

    /// Streams all devices last seen at `from` or later and before `to`, some at a time and `most` at the most, one
    /// partition after the other. The cost grows with the number of results.
    ///
    /// A device that reports meanwhile may come twice.
    pub fn walk(
        &self,
        from: Option<Timestamp>,
        to: Option<Timestamp>,
        most: usize,
    ) -> impl Stream<Item = Result<Vec<(DeviceId, Timestamp)>, QueueError>> + Send + Unpin + use<> {
        let begin = (self.clone(), self.0.partitions(), None::<(Partition, Place)>);
        stream::try_unfold(begin, move |(seen, mut partitions, place)| async move {
            let within = place.map(|(partition, after)| (partition, Some(after)));
            let next = within.or_else(|| Some((partitions.next()?, None)));
            let Some((partition, after)) = next else { return Ok(None) };
            let entries = seen.entries(partition, [from, to], after.as_ref(), most).await?;
            // Invalid scores lie at both ends: the walk continues after the last valid one.
            let place_of = |(device, at): &Entry| Some((partition, (timestamp(*at)?, device.clone())));
            let place = if entries.len() == most { entries.iter().rev().find_map(place_of) } else { None };
            Ok::<_, QueueError>(Some((entries.iter().filter_map(read).collect(), (seen, partitions, place))))
        })
        .boxed()
    }

    /// Returns up to `limit` entries of a partition between two times, after `after`.
    async fn entries(
        &self,
        partition: Partition,
        [from, to]: [Option<Timestamp>; 2],
        after: Option<&Place>,
        limit: usize,
    ) -> Result<Vec<Entry>, QueueError> {
        let bound = |at: Option<Timestamp>, open: &str| at.map_or(open.into(), |at| at.as_millisecond().to_string());
        let mut script = PAGE.key(self.0.keys.of(partition, "seen"));
        script.arg(bound(from, "-inf")).arg(bound(to, "+inf")).arg(limit);
        if let Some((at, device)) = after {
            script.arg(at.as_millisecond()).arg(device);
        }
        self.0.redis.run_at(partition, &script).await
    }
}

/// A device as stored in Redis, and its last-seen time in milliseconds.
type Entry = (Vec<u8>, f64);

/// The position of a walk through a partition: after this device.
type Place = (Timestamp, Vec<u8>);

/// Returns an entry. A member that is no device id was written by a person, and is left out.
fn read((member, at): &Entry) -> Option<(DeviceId, Timestamp)> {
    let device = std::str::from_utf8(member).ok().and_then(|device| DeviceId::parse(device).ok());
    let entry = device.zip(timestamp(*at));
    if entry.is_none() {
        unreadable("seen", member, "expected a device id, and a time as its score");
    }
    entry
}
