//! The devices in order of when they were last heard of, page by page, or all of them in none.

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
    /// Up to `limit` devices that were last heard of at `from` or later and before `to`, longest
    /// ago first, ties by device.
    ///
    /// The next page begins `after` the last entry of this one. None that stays as it is comes
    /// twice or is left out; one that is heard of meanwhile moves on to the end.
    pub async fn page(
        &self,
        from: Option<Timestamp>,
        to: Option<Timestamp>,
        after: Option<(Timestamp, DeviceId)>,
        limit: usize,
    ) -> Result<Vec<(DeviceId, Timestamp)>, QueueError> {
        let after = after.map(|(at, device)| (at, device.as_str().as_bytes().to_vec()));
        let of = |partition| self.entries(partition, [from, to], after.as_ref(), limit);
        // Sent together over the one connection: a round trip for all of them.
        let found = future::try_join_all(self.0.partitions().map(of)).await?.into_iter().flatten();
        let mut entries: Vec<_> = found.filter_map(|entry| read(&entry)).map(|(device, at)| (at, device)).collect();
        entries.sort_unstable();
        entries.truncate(limit);
        Ok(entries.into_iter().map(|(at, device)| (device, at)).collect())
    }

    /// All devices that were last heard of at `from` or later and before `to`, some at a time and
    /// `most` at the most, one partition after the other: what it costs is how many they are.
    ///
    /// One that is heard of meanwhile may come twice.
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
            // Scores that are no time stand at both ends: the walk goes on behind the last that is one.
            let place_of = |(device, at): &Entry| Some((partition, (timestamp(*at)?, device.clone())));
            let place = if entries.len() == most { entries.iter().rev().find_map(place_of) } else { None };
            Ok::<_, QueueError>(Some((entries.iter().filter_map(read).collect(), (seen, partitions, place))))
        })
        .boxed()
    }

    /// Up to `limit` entries of a partition between two times, those behind `after`.
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

/// A device as Redis keeps it, and when it was last heard of in milliseconds.
type Entry = (Vec<u8>, f64);

/// Where a walk through a partition goes on: behind this device.
type Place = (Timestamp, Vec<u8>);

/// What is no device id was put there by a person, and is left out.
fn read((member, at): &Entry) -> Option<(DeviceId, Timestamp)> {
    let device = std::str::from_utf8(member).ok().and_then(|device| DeviceId::parse(device).ok());
    let entry = device.zip(timestamp(*at));
    if entry.is_none() {
        unreadable("seen", member, "expected a device id, and a time as its score");
    }
    entry
}
