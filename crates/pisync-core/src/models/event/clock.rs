//! Trust in a device's clock: which of its times are used, and which of its syncs are live. The only place that tells
//! live reports from late ones.

use jiff::{SignedDuration, Timestamp};

/// How long before its receipt an event may be: a device can have been offline for a year.
pub const BEHIND: SignedDuration = SignedDuration::from_hours(400 * 24);

/// How long after its receipt an event may be: clocks drift a little.
pub const AHEAD: SignedDuration = SignedDuration::from_mins(5);

/// How far a device's clock may be from ours while it sends, before it counts as wrong.
const OFF: SignedDuration = SignedDuration::from_secs(120);

/// The age up to which a sync is live, at the receipt of its report or at its evaluation: two intervals of devices that
/// report once an hour. An older sync is late: it is shown, and notifies nobody.
pub const LATE_AFTER: SignedDuration = SignedDuration::from_hours(2);

/// The least lag of reports behind their receipt that can be due to a clock.
const BEHIND_AT_LEAST: SignedDuration = SignedDuration::from_mins(10);

/// The largest difference between lags that count as equal.
const SAME_LAG: SignedDuration = SignedDuration::from_mins(2);

/// The number of receipts that distinguish a slow clock from late reports.
const RECEIPTS: usize = 3;

/// The best known time of a sync, in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DeviceTime {
    /// The time to use.
    pub timestamp: Timestamp,
    /// The device's own time, if it was not trusted.
    pub device_timestamp: Option<Timestamp>,
    /// Whether the report came late from a clock that agreed with ours when it was sent.
    pub agrees: bool,
}

/// How far a device's clock is behind ours, from its newest reports. Zero if they do not show a lag.
///
/// If receipts advance as the timestamps do, the clock is wrong. If receipts come bunched, the reports are back-fill.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ClockLag(SignedDuration);

impl ClockLag {
    /// The number of a device's newest reports that suffices, also if it reports several times at once.
    pub const REPORTS: u32 = 9;

    /// Returns the lag that a device's newest reports share, newest first, over three separate receipts. A clock that
    /// agreed with ours is right, and its reports are late.
    pub fn of(newest: impl IntoIterator<Item = (DeviceTime, Timestamp)>) -> Self {
        let (mut receipts, mut earliest, mut lags) = (0, None, None);
        for (time, received_at) in newest {
            let lag = received_at.duration_since(time.timestamp);
            let (least, most) = lags.map_or((lag, lag), |(least, most)| (lag.min(least), lag.max(most)));
            lags = Some((least, most));
            if time.device_timestamp.is_some() || time.agrees || least < BEHIND_AT_LEAST || most - least > SAME_LAG {
                break;
            }
            if earliest.is_none_or(|earliest: Timestamp| earliest.duration_since(received_at) > SAME_LAG) {
                (receipts, earliest) = (receipts + 1, Some(received_at));
            }
            if receipts == RECEIPTS {
                return Self(least);
            }
        }
        Self::default()
    }

    /// Returns a time of this clock, corrected to ours.
    pub fn corrected(self, at: Timestamp) -> Timestamp {
        at.saturating_add(self.0).unwrap_or(Timestamp::MAX)
    }

    /// Returns whether a sync at a time of this clock is live, and not back-filled.
    pub fn is_live(self, at: Timestamp, now: Timestamp) -> bool {
        now.duration_since(self.corrected(at)) <= LATE_AFTER
    }

    /// Returns how far the clock is behind, to the minute, if it is.
    pub fn behind(self) -> Option<SignedDuration> {
        (!self.0.is_zero()).then(|| SignedDuration::from_mins((self.0.as_secs() + 30).div_euclid(60)))
    }
}

impl DeviceTime {
    /// Trusts `device_timestamp` within [`BEHIND`] and [`AHEAD`] of `received_at`, and uses `received_at` otherwise. No
    /// report is ever refused for its clock.
    ///
    /// A device that sends its clock while sending (`sent_at`) shows how far it is off. If that is more than two
    /// minutes, its times are shifted by as much.
    pub fn judge(device_timestamp: Timestamp, received_at: Timestamp, sent_at: Option<Timestamp>) -> Self {
        let off = sent_at.map(|sent_at| received_at.duration_since(sent_at)).filter(|off| off.abs() > OFF);
        let shifted = off.map_or(Some(device_timestamp), |off| device_timestamp.checked_add(off).ok());
        let timestamp = shifted.filter(|timestamp| is_believed(*timestamp, received_at)).unwrap_or(received_at);
        let is_own = off.is_none() && timestamp == device_timestamp;
        let is_late = received_at.duration_since(timestamp) >= BEHIND_AT_LEAST;
        let agrees = is_own && is_late && sent_at.is_some();
        Self { timestamp, device_timestamp: (!is_own).then_some(device_timestamp), agrees }
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

    /// Returns the lag of reports, given by time of receipt and lag in minutes, newest first.
    fn lag(reports: &[(i64, i64)]) -> i64 {
        let received: Timestamp = RECEIVED.parse().unwrap();
        let report = |(minute, lag): &(i64, i64)| {
            let received_at = received + SignedDuration::from_mins(*minute);
            (DeviceTime::judge(received_at - SignedDuration::from_mins(*lag), received_at, None), received_at)
        };
        ClockLag::of(reports.iter().map(report)).0.as_mins()
    }

    #[test]
    fn receipts_that_advance_as_the_timestamps_do_are_those_of_a_clock_that_is_behind() {
        for (reports, expected) in [
            (&[(120, 300), (60, 300), (0, 300)][..], 300),
            (&[(120, 301), (60, 300), (0, 302)], 300),
            (&[(120, 303), (60, 300), (0, 300)], 0),
            (&[(120, 300), (60, 300)], 0),
            (&[], 0),
            // A few minutes are the transport of a report.
            (&[(120, 9), (60, 9), (0, 9)], 0),
            (&[(120, 10), (60, 10), (0, 10)], 10),
            // Bunched: back-fill in order, and three stored syncs of one moment.
            (&[(0, 240), (0, 300), (0, 360)], 0),
            (&[(1, 300), (0, 300), (0, 300)], 0),
            // Two reports each hour.
            (&[(120, 300), (120, 300), (60, 300), (60, 300), (0, 300), (0, 300)], 300),
            // Back-fill by such a clock, offline until then.
            (&[(60, 300), (0, 300), (0, 360), (0, 420)], 0),
            (&[(60, 0), (0, 300), (-60, 300), (-120, 300)], 0),
        ] {
            assert_eq!(lag(reports), expected, "{reports:?}");
        }
    }

    #[test]
    fn a_clock_that_agreed_with_ours_is_right_and_its_reports_are_late() {
        let received: Timestamp = RECEIVED.parse().unwrap();
        let report = |hour: i64, agrees: bool| {
            let at = received + SignedDuration::from_hours(hour);
            (DeviceTime::judge(at - SignedDuration::from_hours(5), at, agrees.then_some(at)), at)
        };
        let lag = |agrees: bool| ClockLag::of([report(2, false), report(1, agrees), report(0, false)]).behind();
        assert_eq!((lag(false), lag(true)), (Some(SignedDuration::from_hours(5)), None));
        let punctual = DeviceTime::judge(received, received, Some(received));
        assert!(!punctual.agrees, "what is punctual needs no mark");
    }

    #[test]
    fn a_sync_is_live_for_two_hours_by_our_clock() {
        let (now, hour): (Timestamp, _) = (RECEIVED.parse().unwrap(), SignedDuration::from_hours(1));
        let live = |lag, hours: i32| ClockLag(lag).is_live(now - hours * hour, now);
        assert_eq!([live(SignedDuration::ZERO, 2), live(SignedDuration::ZERO, 3)], [true, false]);
        assert_eq!([live(5 * hour, 7), live(5 * hour, 8)], [true, false]);
    }
}
