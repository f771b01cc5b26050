//! The identifier of a stored event, derived from the report itself.

use std::{fmt, io::Write};

use jiff::Timestamp;
use sha2::{Digest, Sha256};

use crate::{models::DeviceId, time::id_seconds};

/// The twelve bytes of a row's `_id`: the same report makes the same row, at every arrival.
///
/// Laid out like a `MongoDB` `ObjectId`: four bytes of seconds since 1970, big-endian, of the device's own clock (0 and
/// `u32::MAX` stand for times out of range), then the first eight bytes of SHA-256 over the device id, a zero byte, the
/// milliseconds since 1970 in decimal, a zero byte and the [`Identity`]. So rows are in order of time, and a window of
/// time is a range of ids.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EventId([u8; 12]);

/// The identity of a report among those of the same device and time.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Identity<'a> {
    /// The report id of the device.
    ReportId(&'a str),
    /// Without a report id, its content. Clocks without a battery repeat the same time, and cloned cards have the same
    /// device id.
    Content {
        /// Files synced.
        total_files_synced: i64,
        /// Errors of the sync.
        total_errors: i64,
        /// Speed in Mbps.
        internet_speed: f64,
        /// The error code; empty if there is none.
        error_code: &'a str,
    },
}

impl EventId {
    /// Returns the id of the report that `device_id` made at `device_timestamp` by its own clock.
    pub fn derive(device_id: &DeviceId, device_timestamp: Timestamp, identity: &Identity<'_>) -> Self {
        let millis = device_timestamp.as_millisecond();
        let mut hashed = Vec::with_capacity(256);
        hashed.extend_from_slice(device_id.as_str().as_bytes());
        // Writing to a vector cannot fail.
        let _ = write!(hashed, "\0{millis}\0");
        identity.append_to(&mut hashed);
        let mut id = Self::lowest(device_timestamp);
        id.0[4..].copy_from_slice(&Sha256::digest(&hashed)[..8]);
        id
    }

    /// Returns an id below that of every event at `at` or later, and above those of earlier seconds.
    pub fn lowest(at: Timestamp) -> Self {
        let mut bytes = [0; 12];
        bytes[..4].copy_from_slice(&id_seconds(at));
        Self(bytes)
    }

    /// Returns the time by the device's own clock, in whole seconds.
    pub fn time(self) -> Timestamp {
        let [a, b, c, d, ..] = self.0;
        Timestamp::from_second(u32::from_be_bytes([a, b, c, d]).into()).unwrap_or_default()
    }

    /// Returns a stored id.
    pub fn from_bytes(bytes: [u8; 12]) -> Self {
        Self(bytes)
    }

    /// Returns the twelve bytes.
    pub fn bytes(self) -> [u8; 12] {
        self.0
    }
}

impl Identity<'_> {
    fn append_to(&self, hashed: &mut Vec<u8>) {
        match self {
            Self::ReportId(report_id) => {
                hashed.push(b'r');
                hashed.extend_from_slice(report_id.as_bytes());
            }
            Self::Content { total_files_synced, total_errors, internet_speed, error_code } => {
                let _ = write!(hashed, "c{total_files_synced}\0{total_errors}\0");
                // Adding 0 turns -0 into 0, which is the same speed.
                hashed.extend_from_slice(&(internet_speed + 0.0).to_be_bytes());
                hashed.push(0);
                hashed.extend_from_slice(error_code.as_bytes());
            }
        }
    }
}

impl fmt::Display for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
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

    const FAILED: Identity<'_> =
        Identity::Content { total_files_synced: 8, total_errors: 5, internet_speed: 2.5, error_code: "" };

    fn derive(device: &str, millis: i64, identity: &Identity<'_>) -> String {
        let at = Timestamp::from_millisecond(millis).unwrap();
        EventId::derive(&DeviceId::parse(device).unwrap(), at, identity).to_string()
    }

    fn id(device: &str, millis: i64) -> EventId {
        EventId::derive(&DeviceId::parse(device).unwrap(), Timestamp::from_millisecond(millis).unwrap(), &FAILED)
    }

    /// Computed by the program in docs/reference/schema.md, independent of this code.
    #[test]
    fn is_the_documented_hash() {
        let content = |total_files_synced, total_errors, internet_speed, error_code| Identity::Content {
            total_files_synced,
            total_errors,
            internet_speed,
            error_code,
        };
        for (device, millis, identity, expected) in [
            ("pibook-1", 1_763_888_263_469, content(8, 5, 97.540_860_556_406_43, ""), "6922cc8708e4076826548b55"),
            ("pibook-1", 1_763_888_263_469, content(8, 5, 97.540_860_556_406_43, "E_DISK"), "6922cc87718a2cd5e45bc43e"),
            ("pibook-1", 1_763_888_263_469, Identity::ReportId("42"), "6922cc8730ff77c03441927a"),
            ("pibook-1", 60_000, content(0, 1, 0.0, ""), "0000003cfa66676d4f6b1c99"),
            ("pibook-1", 60_000, content(0, 2, -0.0, ""), "0000003c646c91e9a4fd9c5e"),
            ("école 7", -1, Identity::ReportId("b55b5e5a-aadc-4321-a12d-51b872166d48"), "00000000885a715ef5d995ea"),
            ("学校", 253_402_207_200_000, content(2_147_483_647, 0, 1_000_000.0, ""), "ffffffff1dec3c8e04b19d7e"),
        ] {
            assert_eq!(derive(device, millis, &identity), expected, "{device} {millis} {identity:?}");
        }
    }

    #[test]
    fn a_speed_of_minus_zero_is_zero() {
        let of = |internet_speed| Identity::Content {
            total_files_synced: 0,
            total_errors: 0,
            internet_speed,
            error_code: "",
        };
        assert_eq!(derive("a", 1_000, &of(-0.0)), derive("a", 1_000, &of(0.0)));
        assert_ne!(derive("a", 1_000, &of(f64::MIN_POSITIVE)), derive("a", 1_000, &of(0.0)));
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
    fn whatever_differs_in_a_report_makes_another_row() {
        let content = |total_files_synced, total_errors, internet_speed, error_code| Identity::Content {
            total_files_synced,
            total_errors,
            internet_speed,
            error_code,
        };
        let ids = [
            derive("a", 1_000, &content(1, 2, 1.0, "")),
            derive("b", 1_000, &content(1, 2, 1.0, "")),
            derive("a", 1_001, &content(1, 2, 1.0, "")),
            derive("a", 1_000, &content(2, 2, 1.0, "")),
            derive("a", 1_000, &content(1, 3, 1.0, "")),
            derive("a", 1_000, &content(12, 1, 1.0, "")),
            derive("a", 1_000, &content(1, 2, 1.5, "")),
            derive("a", 1_000, &content(1, 2, 1.0, "E1")),
            derive("a", 1_000, &Identity::ReportId("1")),
            derive("a", 1_001, &Identity::ReportId("1")),
            derive("a", 1_000, &Identity::ReportId("2")),
        ];
        let distinct: std::collections::BTreeSet<_> = ids.iter().collect();
        assert_eq!(distinct.len(), ids.len());
    }
}
