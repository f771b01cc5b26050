//! `DeviceFlapping`: a device goes up and down too often to be told of each time.
//!
//! Weighted as Nagios does it: of the 20 changes that 21 reports can show, the newest counts 1.25,
//! the oldest 0.75, in even steps. Source: `flapping.c` of Nagios Core, and its manual, "Detection
//! and Handling of State Flapping".

use super::verdict::Verdict;
use crate::routing::rules::DeviceFlapping;

/// How many reports are looked at.
pub const REPORTS: usize = 21;

/// The weights of the oldest and the newest change.
const WEIGHTS: [f64; 2] = [0.75, 1.25];

impl DeviceFlapping {
    /// Whether a device flaps, by whether its last reports failed, oldest first. Fewer than
    /// [`REPORTS`] do not tell.
    pub fn judge(&self, is_open: bool, failed: &[bool]) -> Verdict {
        let Some(share) = changes(failed) else { return Verdict::Unknown };
        let is_wrong = if is_open { share >= self.closes_below } else { share > self.opens_above };
        if is_wrong { Verdict::Wrong } else { Verdict::Well }
    }
}

/// The share of changes among the newest reports, weighted.
#[expect(clippy::cast_precision_loss, reason = "twenty changes")]
pub fn changes(failed: &[bool]) -> Option<f64> {
    let newest = &failed[failed.len().checked_sub(REPORTS)?..];
    let [oldest_weight, newest_weight] = WEIGHTS;
    let step = (newest_weight - oldest_weight) / (REPORTS - 2) as f64;
    let weight = |at: usize| (at as f64).mul_add(step, oldest_weight);
    let changed = newest.windows(2).enumerate().filter(|(_, pair)| pair[0] != pair[1]);
    Some(changed.map(|(at, _)| weight(at)).sum::<f64>() / (REPORTS - 1) as f64)
}

#[cfg(test)]
mod tests {
    use super::{Verdict::*, *};

    /// `F` failed, anything else was good.
    fn reports(text: &str) -> Vec<bool> {
        text.chars().map(|report| report == 'F').collect()
    }

    #[test]
    fn opens_above_one_share_of_changes_and_closes_below_a_lower_one() {
        let settings = DeviceFlapping::default();
        for (text, closed, open) in [
            ("F.F.F.F.F.F.F.F.F.F.F", Wrong, Wrong),
            (".....................", Well, Well),
            ("FFFFFFFFFFFFFFFFFFFFF", Well, Well),
            // One failing run: two changes, a tenth.
            (".........FFFF........", Well, Well),
            // Six changes: at their places the same share means more when they are new.
            ("F.F.F.F..............", Well, Wrong),
            ("..............F.F.F.F", Wrong, Wrong),
            // Three old changes.
            ("F..F.................", Well, Well),
            ("F.F.F.F", Unknown, Unknown),
        ] {
            let reports = reports(text);
            assert_eq!((settings.judge(false, &reports), settings.judge(true, &reports)), (closed, open), "{text}");
        }
    }

    #[test]
    fn all_changes_are_a_whole_and_only_the_newest_reports_count() {
        let share = changes(&reports("F.F.F.F.F.F.F.F.F.F.F")).unwrap();
        assert!((share - 1.0).abs() < 1e-9, "{share}");
        assert_eq!(changes(&reports("F.F.F.F.F.F.....................")), Some(0.0));
    }
}
