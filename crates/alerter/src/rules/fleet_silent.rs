//! `FleetSilent`: of the devices that were heard of in the last days, too many are absent.

use jiff::Timestamp;
use pisync_core::models::Listening;

use super::verdict::Verdict;
use crate::routing::rules::FleetSilent;

/// How many devices are expected, and how many of these are absent.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Presence {
    /// Devices that were heard of not too long ago.
    pub expected: u64,
    /// Those of them that are silent now.
    pub absent: u64,
}

/// Between which times the devices that are absent were last heard of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reach {
    /// Who was last heard of before this is expected no more.
    pub expected_since: Timestamp,
    /// Who was last heard of before this is absent.
    pub absent_since: Timestamp,
}

impl FleetSilent {
    /// The times that matter now.
    pub fn reach(&self, listening: &Listening, now: Timestamp) -> Reach {
        Reach {
            expected_since: listening.back(now, self.expected_for.max(self.absent_after)),
            absent_since: listening.back(now, self.absent_after),
        }
    }

    /// Whether too many are absent.
    pub fn judge(&self, is_open: bool, presence: Presence) -> Verdict {
        self.limits().judge(is_open, presence.absent, presence.expected)
    }
}

#[cfg(test)]
mod tests {
    use pisync_core::models::Gap;

    use super::{Verdict::*, *};

    #[test]
    fn one_group_of_a_twentieth_is_too_many() {
        for (is_open, absent, verdict) in
            [(false, 4_999, Well), (false, 5_000, Wrong), (true, 2_500, Wrong), (true, 2_499, Well)]
        {
            let presence = Presence { expected: 100_000, absent };
            assert_eq!(FleetSilent::default().judge(is_open, presence), verdict, "{is_open} {absent}");
        }
    }

    #[test]
    fn while_we_were_away_nobody_was_absent() {
        let at = |text: &str| text.parse::<Timestamp>().unwrap();
        let gap = Gap { from: at("2026-11-24T04:00:00Z"), to: at("2026-11-24T10:00:00Z") };
        let reach = FleetSilent::default().reach(&Listening { gaps: vec![gap] }, at("2026-11-24T10:30:00Z"));
        assert_eq!(reach.absent_since, at("2026-11-24T01:30:00Z"));
        assert_eq!(reach.expected_since, at("2026-11-17T04:30:00Z"));
    }
}
