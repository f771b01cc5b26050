//! The slot of a device's next report, so that a fleet does not report all at once.

use jiff::{SignedDuration, Timestamp};
use sha2::{Digest, Sha256};

use crate::models::DeviceId;

/// Returns how long a device that has just reported should wait until its next report.
///
/// Each device has its own slot in the interval, derived from its id alone. So a fleet spreads evenly over any number
/// of processes. The result is the next such slot that is at least half an interval away. A device in its slot waits
/// one interval; another reaches its slot with the next report. In whole seconds; an interval below a second counts as
/// one.
pub fn next_report_in(device_id: &DeviceId, interval: SignedDuration, now: Timestamp) -> SignedDuration {
    let interval = interval.as_secs().max(1);
    let earliest = now.as_second() + interval / 2;
    let until_place = (place(device_id, interval) - earliest).rem_euclid(interval);
    SignedDuration::from_secs(interval / 2 + until_place)
}

/// Returns the slot of a device in an interval of so many seconds.
fn place(device_id: &DeviceId, interval: i64) -> i64 {
    let hash = Sha256::new().chain_update(b"report slot\0").chain_update(device_id.as_str()).finalize();
    let number = hash.iter().take(7).fold(0_i64, |number, byte| (number << 8) | i64::from(*byte));
    number.rem_euclid(interval)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: SignedDuration = SignedDuration::from_hours(1);

    fn device(number: u32) -> DeviceId {
        DeviceId::parse(&format!("pibook-{number}")).unwrap()
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn a_device_has_its_place_in_the_hour_whenever_it_asks() {
        let place = |now: i64| (now + next_report_in(&device(7), HOUR, at(now)).as_secs()) % 3_600;
        let expected = place(1_795_000_000);
        for now in (1_795_000_000..1_795_010_000).step_by(77) {
            assert_eq!(place(now), expected, "{now}");
            let wait = next_report_in(&device(7), HOUR, at(now)).as_secs();
            assert!((1_800..5_400).contains(&wait), "{now}: {wait}");
        }
    }

    #[test]
    fn who_keeps_to_it_waits_for_one_interval() {
        let now = at(1_795_000_000);
        let then = now + next_report_in(&device(7), HOUR, now);
        assert_eq!(next_report_in(&device(7), HOUR, then), HOUR);
    }

    #[test]
    fn a_fleet_that_reports_all_at_once_is_spread_evenly_over_the_hour() {
        let mut minutes = [0; 60];
        for number in 0..60_000 {
            let place = next_report_in(&device(number), HOUR, at(1_795_000_000)).as_secs() - 1_800;
            minutes[usize::try_from(place / 60).unwrap()] += 1;
        }
        // A thousand each, with a random deviation of about 32.
        assert!(minutes.iter().all(|count| (850..1_150).contains(count)), "{minutes:?}");
    }
}
