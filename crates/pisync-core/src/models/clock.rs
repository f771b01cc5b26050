//! How far a device's clock is believed.

use jiff::{SignedDuration, Timestamp};

/// How long before its receipt an event may lie: a device can have been offline for a year.
pub const BEHIND: SignedDuration = SignedDuration::from_hours(400 * 24);

/// How long after its receipt an event may lie: clocks drift a little.
pub const AHEAD: SignedDuration = SignedDuration::from_mins(5);

/// When a sync happened, as far as one can know: in milliseconds, as everything here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DeviceTime {
    /// The time to work with.
    pub timestamp: Timestamp,
    /// What the device said, where that was not believed.
    pub device_timestamp: Option<Timestamp>,
}

impl DeviceTime {
    /// Believes `device_timestamp` within [`BEHIND`] and [`AHEAD`] of `received_at`, and takes
    /// `received_at` in its place otherwise. Nothing is ever refused for its clock.
    pub fn judge(device_timestamp: Timestamp, received_at: Timestamp) -> Self {
        let offset = device_timestamp.duration_since(received_at);
        if (-BEHIND..=AHEAD).contains(&offset) {
            Self { timestamp: device_timestamp, device_timestamp: None }
        } else {
            Self { timestamp: received_at, device_timestamp: Some(device_timestamp) }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RECEIVED: &str = "2026-11-23T12:00:00Z";

    fn judge(device: &str) -> DeviceTime {
        DeviceTime::judge(device.parse().unwrap(), RECEIVED.parse().unwrap())
    }

    #[test]
    fn a_plausible_clock_is_believed() {
        for device in [RECEIVED, "2026-11-23T12:05:00Z", "2025-10-19T12:00:00Z"] {
            let time = judge(device);
            assert_eq!((time.timestamp.to_string().as_str(), time.device_timestamp), (device, None));
        }
    }

    #[test]
    fn an_implausible_clock_yields_to_the_time_of_receipt_and_is_kept_beside_it() {
        for device in
            ["1970-01-01T00:00:00Z", "2099-01-01T00:00:00Z", "2026-11-23T12:05:00.001Z", "2025-10-19T11:59:59.999Z"]
        {
            let time = judge(device);
            assert_eq!(time.timestamp.to_string(), RECEIVED);
            assert_eq!(time.device_timestamp.unwrap().to_string(), device);
        }
    }
}
