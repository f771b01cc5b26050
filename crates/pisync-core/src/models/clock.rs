//! How far a device's clock is believed.

use jiff::{SignedDuration, Timestamp};

/// How long before its receipt an event may lie: a device can have been offline for a year.
pub const BEHIND: SignedDuration = SignedDuration::from_hours(400 * 24);

/// How long after its receipt an event may lie: clocks drift a little.
pub const AHEAD: SignedDuration = SignedDuration::from_mins(5);

/// How far a device's clock may be from ours while it sends, before it is taken to be wrong.
const OFF: SignedDuration = SignedDuration::from_secs(120);

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
    ///
    /// A device that says what its clock showed while it sent (`sent_at`) tells how far it is off:
    /// beyond two minutes, its times are shifted by as much.
    pub fn judge(device_timestamp: Timestamp, received_at: Timestamp, sent_at: Option<Timestamp>) -> Self {
        let off = sent_at.map(|sent_at| received_at.duration_since(sent_at)).filter(|off| off.abs() > OFF);
        let shifted = off.map_or(Some(device_timestamp), |off| device_timestamp.checked_add(off).ok());
        let timestamp = shifted.filter(|timestamp| is_believed(*timestamp, received_at)).unwrap_or(received_at);
        let is_own = off.is_none() && timestamp == device_timestamp;
        Self { timestamp, device_timestamp: (!is_own).then_some(device_timestamp) }
    }
}

fn is_believed(timestamp: Timestamp, received_at: Timestamp) -> bool {
    (-BEHIND..=AHEAD).contains(&timestamp.duration_since(received_at))
}

#[cfg(test)]
mod tests {
    use super::*;

    const RECEIVED: &str = "2026-11-23T12:00:00Z";

    fn judge(device: &str) -> DeviceTime {
        DeviceTime::judge(device.parse().unwrap(), RECEIVED.parse().unwrap(), None)
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
