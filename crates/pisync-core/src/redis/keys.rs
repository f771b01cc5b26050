//! The names of the keys; their table is in the documentation of `queue`.

use sha2::{Digest, Sha256};

use crate::models::DeviceId;

/// One of the queue's lists, by its number from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Partition(pub(crate) u16);

impl Partition {
    /// Returns the number, from 0.
    pub fn number(self) -> u16 {
        self.0
    }
}

/// The keys of a partition and the type of each, as in the table of `queue`.
const OF_PARTITION: [(&str, &str); 9] = [
    ("ready", "list"),
    ("batch", "list"),
    ("lease", "hash"),
    ("dead", "list"),
    ("stats", "hash"),
    ("seen", "zset"),
    ("hours", "zset"),
    ("count", "string"),
    ("paused", "string"),
];

/// The same for the queue as a whole.
const SHARED: [(&str, &str); 4] =
    [("partitions", "string"), ("repartition", "string"), ("alerts", "list"), ("heartbeat", "hash")];

#[derive(Debug)]
pub(crate) struct Keys {
    prefix: String,
    partitions: u16,
}

impl Keys {
    pub(crate) fn new(prefix: &str, partitions: u16) -> Self {
        Self { prefix: prefix.to_owned(), partitions }
    }

    pub(crate) fn count(&self) -> u16 {
        self.partitions
    }

    pub(crate) fn partitions(&self) -> impl DoubleEndedIterator<Item = Partition> + ExactSizeIterator + use<> {
        (0..self.partitions).map(Partition)
    }

    /// Returns the partition: a stable hash of the device id, modulo the number of partitions.
    pub(crate) fn partition_of(&self, device_id: &DeviceId) -> Partition {
        let hash = Sha256::digest(device_id.as_str());
        let number = u32::from_be_bytes([hash[0], hash[1], hash[2], hash[3]]) % u32::from(self.partitions);
        Partition(u16::try_from(number).unwrap_or_default())
    }

    /// Returns the prefix of the keys of a partition.
    pub(crate) fn base(&self, partition: Partition) -> String {
        format!("{}:{{q:{:02}}}:", self.prefix, partition.0)
    }

    pub(crate) fn of(&self, partition: Partition, name: &str) -> String {
        self.base(partition) + name
    }

    /// Returns the keys of a partition.
    pub(crate) fn all_of(&self, partition: Partition) -> Vec<String> {
        OF_PARTITION.iter().map(|(name, _)| self.of(partition, name)).collect()
    }

    /// Returns the required type of a key; none for a key that is not ours.
    pub(crate) fn type_of(&self, key: &str) -> Option<&'static str> {
        let name = key.strip_prefix(&self.prefix)?.strip_prefix(':')?;
        let find = |table: &[(&str, &'static str)], name: &str| {
            table.iter().find(|(known, _)| *known == name).map(|(_, kind)| *kind)
        };
        match name.strip_prefix("{q:").and_then(|rest| rest.split_once("}:")) {
            Some((_, name)) => find(&OF_PARTITION, name),
            None if name.starts_with("ended:") => Some("string"),
            None => find(&SHARED, name),
        }
    }

    /// Returns a key of the queue as a whole.
    pub(crate) fn shared(&self, name: &str) -> String {
        format!("{}:{name}", self.prefix)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_of_a_partition_share_its_hash_tag() {
        let keys = Keys::new("pisync", 16);
        assert_eq!(keys.of(Partition(7), "ready"), "pisync:{q:07}:ready");
        assert_eq!(keys.of(Partition(1023), "ready"), "pisync:{q:1023}:ready");
        assert_eq!(keys.shared("alerts"), "pisync:alerts");
    }

    #[test]
    fn every_key_of_the_table_has_the_type_that_it_names() {
        let keys = Keys::new("fleet", 16);
        // The rows of the module's own table.
        let rows = include_str!("../queue/mod.rs").lines().filter_map(|line| line.strip_prefix("//! | `pisync:"));
        let mut checked = 0;
        for row in rows {
            let (name, rest) = row.split_once("` | ").unwrap();
            let kind = rest.split(" |").next().unwrap();
            if kind == "channel" {
                continue;
            }
            let kind = if kind == "sorted set" { "zset" } else { kind };
            assert_eq!(keys.type_of(&format!("fleet:{name}")), Some(kind), "{name}");
            checked += 1;
        }
        assert_eq!(checked, 14);
        assert_eq!(keys.type_of("other:alerts"), None);
    }

    #[test]
    fn devices_spread_evenly_and_stay_where_they_are() {
        let keys = Keys::new("pisync", 16);
        let mut sizes = [0; 16];
        for i in 0..16_000 {
            let device = DeviceId::parse(&format!("pibook-{i}")).unwrap();
            sizes[usize::from(keys.partition_of(&device).number())] += 1;
        }
        assert!(sizes.iter().all(|size| (850..1_150).contains(size)), "{sizes:?}");
        // Pinned: another hash would strand queued events when a new version is deployed.
        assert_eq!(keys.partition_of(&DeviceId::parse("pibook-1").unwrap()), Partition(7));
    }
}
