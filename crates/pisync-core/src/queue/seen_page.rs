//! The devices in order of when they were last heard of, page by page.

use std::sync::LazyLock;

use deadpool_redis::redis::Script;
use futures_util::future;
use jiff::Timestamp;

use super::{LastSeen, QueueError, seen::timestamp};
use crate::models::DeviceId;

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
        let bound = |at: Option<Timestamp>, open: &str| at.map_or(open.into(), |at| at.as_millisecond().to_string());
        let script = |partition| {
            let mut script = PAGE.key(self.0.keys.of(partition, "seen"));
            script.arg(bound(from, "-inf")).arg(bound(to, "+inf")).arg(limit);
            if let Some((at, device)) = &after {
                script.arg(at.as_millisecond()).arg(device.as_str());
            }
            script
        };
        let scripts: Vec<_> = self.0.partitions().map(script).collect();
        // Sent together over the one connection: a round trip for all of them.
        let pages = scripts.iter().map(|script| self.0.redis.run::<Vec<(Vec<u8>, f64)>>(script));
        let found = future::try_join_all(pages).await?.into_iter().flatten();
        let mut entries: Vec<_> =
            found.filter_map(|(device, score)| Some((timestamp(score)?, read(&device)?))).collect();
        entries.sort_unstable();
        entries.truncate(limit);
        Ok(entries.into_iter().map(|(at, device)| (device, at)).collect())
    }
}

/// What is no device id was put there by a person, and is left out.
fn read(device: &[u8]) -> Option<DeviceId> {
    DeviceId::parse(std::str::from_utf8(device).ok()?).ok()
}
