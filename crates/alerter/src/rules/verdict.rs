//! What a rule says, and the level rule with two thresholds that several of them are made of.

use crate::routing::rules::Limits;

/// What a rule says of one thing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It is wrong, or not yet well enough.
    Wrong,
    /// It is well, or not yet wrong enough.
    Well,
    /// What is seen does not tell: all stays as it is.
    Unknown,
}

impl Limits {
    /// Between the two shares all stays as it is.
    #[expect(clippy::cast_precision_loss, reason = "counts are below 2^53")]
    pub fn judge(&self, is_open: bool, part: u64, whole: u64) -> Verdict {
        if whole == 0 {
            return Verdict::Unknown;
        }
        let share = part as f64 / whole as f64;
        let is_wrong =
            if is_open { share >= self.closes_below } else { share >= self.opens_at && part >= self.at_least };
        if is_wrong { Verdict::Wrong } else { Verdict::Well }
    }
}

#[cfg(test)]
mod tests {
    use super::{Verdict::*, *};

    #[test]
    fn opens_at_one_share_and_closes_below_a_lower_one() {
        for (is_open, part, whole, verdict) in [
            (false, 4_999, 100_000, Well),
            (false, 5_000, 100_000, Wrong),
            (false, 49, 100, Well),
            (false, 50, 100, Wrong),
            (false, 50, 1_001, Well),
            (true, 5_000, 100_000, Wrong),
            (true, 2_500, 100_000, Wrong),
            (true, 2_499, 100_000, Well),
            (true, 10, 100, Wrong),
            (true, 2, 100, Well),
            (true, 0, 0, Unknown),
            (false, 0, 0, Unknown),
        ] {
            assert_eq!(Limits::FLEET.judge(is_open, part, whole), verdict, "{is_open} {part} of {whole}");
        }
    }
}
