//! The status of a device, in one word.

use jiff::Timestamp;

/// The status of a device: the worst that applies, in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum DeviceStatus {
    /// Its syncs fail: [`DeviceStatus::REPEATED`] in a row, or more.
    Failing,
    /// Nothing was received from it for too long.
    Silent,
    /// Its clock is not trusted.
    ClockSuspect,
    /// None of the others.
    Ok,
}

impl DeviceStatus {
    /// The number of failed syncs in a row from which a device counts as failing.
    pub const REPEATED: i32 = 3;

    /// Every status, worst first.
    pub const ALL: [Self; 4] = [Self::Failing, Self::Silent, Self::ClockSuspect, Self::Ok];

    /// Returns the status of a device from its failed syncs in a row, its clock and its last-seen time. It is silent if
    /// that time is before `silent_before`. A device without a last-seen time is never silent.
    pub fn of(
        failure_count: i32,
        last_seen_at: Option<Timestamp>,
        silent_before: Timestamp,
        is_clock_suspect: bool,
    ) -> Self {
        if failure_count >= Self::REPEATED {
            Self::Failing
        } else if last_seen_at.is_some_and(|at| at < silent_before) {
            Self::Silent
        } else if is_clock_suspect {
            Self::ClockSuspect
        } else {
            Self::Ok
        }
    }

    /// Returns the word in queries and answers.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Failing => "failing",
            Self::Silent => "silent",
            Self::ClockSuspect => "clock-suspect",
            Self::Ok => "ok",
        }
    }

    /// Returns the status of that word.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|known| known.as_str() == word)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worst_that_fits_is_the_status() {
        let at = |second| Timestamp::from_second(second).unwrap();
        let status = |count, seen: Option<i64>, suspect| DeviceStatus::of(count, seen.map(at), at(100), suspect);
        assert_eq!(status(3, Some(99), true), DeviceStatus::Failing);
        assert_eq!(status(2, Some(99), true), DeviceStatus::Silent);
        assert_eq!(status(2, Some(100), true), DeviceStatus::ClockSuspect);
        assert_eq!(status(2, None, false), DeviceStatus::Ok);
    }
}
