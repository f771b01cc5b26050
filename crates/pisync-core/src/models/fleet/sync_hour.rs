//! The syncs of one hour added up, over all devices.

use std::ops::AddAssign;

use jiff::Timestamp;

/// The sums of one hour of the devices' own clocks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SyncHour {
    /// Start of the hour.
    pub hour: Timestamp,
    /// Syncs without an error.
    pub good: u64,
    /// Syncs with errors.
    pub failed: u64,
    /// Files synced.
    pub files: u64,
    /// Errors of the syncs.
    pub errors: u64,
    /// Failed syncs on a slow connection, as defined by [`crate::models::Cause`].
    pub connectivity: u64,
    /// Failed syncs on a good connection; the cause of the others is unknown.
    pub content: u64,
    /// The speeds of all connections.
    pub speeds: Speeds,
    /// The speeds of the failed syncs.
    pub failed_speeds: Speeds,
    /// The part of these sums that was received late.
    pub late: Late,
    /// A time before the rows were read, by Redis' clock: later rows may be missing.
    pub computed_at: Timestamp,
    /// Whether rows may have been removed for their age since, so that the sums are final.
    pub closed: bool,
}

/// Syncs of an hour whose reports were received more than [`crate::models::LATE_AFTER`] after them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Late {
    /// Good syncs.
    pub good: u64,
    /// Failed syncs on a slow connection.
    pub connectivity: u64,
    /// Failed syncs on a good connection.
    pub content: u64,
    /// Failed syncs of unknown cause.
    pub unknown: u64,
}

impl Late {
    /// Returns the number of all late syncs.
    pub fn all(&self) -> u64 {
        self.good + self.connectivity + self.content + self.unknown
    }
}

impl SyncHour {
    /// Returns an hour without syncs.
    pub fn empty(hour: Timestamp, computed_at: Timestamp) -> Self {
        let (speeds, failed_speeds) = Default::default();
        let (good, failed, files, errors, connectivity, content, late, closed) = Default::default();
        Self {
            hour,
            good,
            failed,
            files,
            errors,
            connectivity,
            content,
            speeds,
            failed_speeds,
            late,
            computed_at,
            closed,
        }
    }

    /// Returns the number of failed syncs of unknown cause.
    pub fn unknown(&self) -> u64 {
        self.failed.saturating_sub(self.connectivity + self.content)
    }

    /// Returns the estimated median speed, in Mbps; none without syncs.
    pub fn median_speed(&self) -> Option<f64> {
        self.speeds.median()
    }
}

/// A histogram of speeds: the number of syncs in each bucket. Counts can be added up, medians cannot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Speeds(pub [u64; Speeds::BUCKETS]);

impl Speeds {
    /// The lower bounds of the buckets, in Mbps: 0, then five to each power of ten, from 0.1 to 1,000. The last bucket
    /// has no upper bound.
    #[expect(clippy::unreadable_literal, reason = "powers of the fifth root of ten")]
    pub const FROM: [f64; Self::BUCKETS] = [
        0.0,
        0.1,
        0.15848931924611134,
        0.251188643150958,
        0.3981071705534972,
        0.6309573444801932,
        1.0,
        1.5848931924611136,
        2.51188643150958,
        3.9810717055349722,
        6.309573444801933,
        10.0,
        15.848931924611133,
        25.118864315095795,
        39.810717055349734,
        63.09573444801933,
        100.0,
        158.48931924611142,
        251.18864315095797,
        398.1071705534973,
        630.957344480193,
        1_000.0,
    ];

    /// The number of buckets.
    pub const BUCKETS: usize = 22;

    /// Returns the bucket of a speed.
    pub fn bucket(speed: f64) -> usize {
        Self::FROM.partition_point(|from| *from <= speed).saturating_sub(1)
    }

    /// Returns the median, in Mbps, as if the syncs of a bucket were spread evenly over it. The error is at most the
    /// bucket's width. Speeds of 1,000 Mbps and more count as 1,000.
    pub fn median(&self) -> Option<f64> {
        let total: u64 = self.0.iter().sum();
        #[expect(clippy::cast_precision_loss, reason = "counts are below 2^53")]
        let (half, count) = (total as f64 / 2.0, |bucket: usize| self.0[bucket] as f64);
        let mut below = 0.0;
        for bucket in (0..Self::BUCKETS).filter(|bucket| self.0[*bucket] > 0) {
            if below + count(bucket) >= half {
                let from = Self::FROM[bucket];
                let width = Self::FROM.get(bucket + 1).map_or(0.0, |end| end - from);
                return Some(width.mul_add((half - below) / count(bucket), from));
            }
            below += count(bucket);
        }
        None
    }
}

impl AddAssign for Speeds {
    fn add_assign(&mut self, other: Self) {
        for (count, more) in self.0.iter_mut().zip(other.0) {
            *count += more;
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn speeds(of: &[f64]) -> Speeds {
        let mut speeds = Speeds::default();
        for speed in of {
            speeds.0[Speeds::bucket(*speed)] += 1;
        }
        speeds
    }

    #[test]
    fn a_bucket_holds_its_beginning_and_not_its_end() {
        assert_eq!([0.0, 0.099, 0.1, 0.64, 1.0, 999.9, 1_000.0, 1e6].map(Speeds::bucket), [0, 0, 1, 5, 6, 20, 21, 21]);
    }

    #[test]
    fn no_syncs_have_no_median_and_the_fastest_count_as_a_thousand() {
        assert_eq!(speeds(&[]).median(), None);
        assert_eq!(speeds(&[5_000.0]).median(), Some(1_000.0));
    }

    proptest! {
        #[test]
        fn the_median_of_added_hours_lies_in_the_bucket_of_the_true_one(
            one in prop::collection::vec(0.0..999.0_f64, 1..60),
            other in prop::collection::vec(0.0..999.0_f64, 0..60),
        ) {
            let mut sum = speeds(&one);
            sum += speeds(&other);
            let mut all = [one, other].concat();
            all.sort_by(f64::total_cmp);
            let bucket = Speeds::bucket(all[(all.len() - 1) / 2]);
            let median = sum.median().unwrap();
            prop_assert!(Speeds::FROM[bucket] <= median && median <= Speeds::FROM[bucket + 1], "{median} of {all:?}");
        }
    }
}
