//! The identifier of a stored event, derived from the event itself.

use std::fmt;

use jiff::Timestamp;
use sha2::{Digest, Sha256};

use super::DeviceId;

/// The twelve bytes of a row's `_id`: the same report is the same row, however often it arrives.
///
/// Laid out like a `MongoDB` `ObjectId`: four bytes of seconds since 1970, big-endian, of the
/// device's own clock (0 and `u32::MAX` stand for what lies outside), then the first eight bytes of
/// SHA-256 over the device id, a zero byte and the milliseconds since 1970 in decimal. So rows lie
/// in order of time and a window of time is a range of ids.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EventId([u8; 12]);

impl EventId {
    /// The id of what `device_id` reported at `device_timestamp` by its own clock.
    pub fn derive(device_id: &DeviceId, device_timestamp: Timestamp) -> Self {
        Self(derived_id(device_id.as_str(), device_timestamp))
    }

    /// Below the id of every event at `at` or later, and above those of earlier seconds.
    pub fn lowest(at: Timestamp) -> Self {
        let mut bytes = [0; 12];
        bytes[..4].copy_from_slice(&u32::try_from(at.as_second().max(0)).unwrap_or(u32::MAX).to_be_bytes());
        Self(bytes)
    }

    /// The time by the device's own clock, in whole seconds.
    pub fn time(self) -> Timestamp {
        let [a, b, c, d, ..] = self.0;
        Timestamp::from_second(u32::from_be_bytes([a, b, c, d]).into()).unwrap_or_default()
    }

    /// An id read back from where it was stored.
    pub fn from_bytes(bytes: [u8; 12]) -> Self {
        Self(bytes)
    }

    /// The twelve bytes.
    pub fn bytes(self) -> [u8; 12] {
        self.0
    }
}

/// Twelve bytes for what `name` did at a time; [`EventId`] tells how they are laid out.
pub(super) fn derived_id(name: &str, at: Timestamp) -> [u8; 12] {
    let millis = at.as_millisecond();
    let seconds = u32::try_from(millis.div_euclid(1000).max(0)).unwrap_or(u32::MAX);
    let hash = Sha256::new().chain_update(name).chain_update([0]).chain_update(millis.to_string()).finalize();
    let mut bytes = [0; 12];
    bytes[..4].copy_from_slice(&seconds.to_be_bytes());
    bytes[4..].copy_from_slice(&hash[..8]);
    bytes
}

impl fmt::Display for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "EventId({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(device: &str, millis: i64) -> EventId {
        EventId::derive(&DeviceId::parse(device).unwrap(), Timestamp::from_millisecond(millis).unwrap())
    }

    #[test]
    fn is_the_documented_hash() {
        // printf 'pibook-1\0001763888263469' | sha256sum
        assert_eq!(id("pibook-1", 1_763_888_263_469).to_string(), "6922cc872743c29a8d10eb0d");
    }

    #[test]
    fn rows_lie_in_order_of_time() {
        assert!(id("b", 1_000) < id("a", 2_000));
        assert!(id("a", -5_000) < id("a", 1_000));
        assert!(id("a", 1_000) < id("a", 253_402_207_200_000));
    }

    #[test]
    fn a_window_of_time_is_a_range_of_ids() {
        let at = |second| Timestamp::from_second(second).unwrap();
        for millis in [7_200_000, 10_799_999] {
            let id = id("a", millis);
            assert!(EventId::lowest(at(7_200)) <= id && id < EventId::lowest(at(10_800)));
            assert_eq!(id.time(), at(millis / 1_000));
        }
    }

    #[test]
    fn neighbours_in_time_or_name_differ() {
        assert_ne!(id("a", 1_000), id("a", 1_001));
        assert_ne!(id("a", 1_000), id("b", 1_000));
    }
}
