//! Times at which the system listened at all. Silence counts only in them, so that no device is blamed for an outage of
//! ours.

use jiff::{SignedDuration, Timestamp};

/// A time in which the system did not listen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Gap {
    /// The last known time of listening before it.
    pub from: Timestamp,
    /// The first known time of listening after it.
    pub to: Timestamp,
}

/// The times at which devices could be heard.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Listening {
    /// The gaps, oldest first and disjoint.
    pub gaps: Vec<Gap>,
}

impl Listening {
    /// Returns the same times without these further gaps.
    #[must_use]
    pub fn without(&self, further: Vec<Gap>) -> Self {
        let mut gaps: Vec<_> = self.gaps.iter().copied().chain(further).collect();
        gaps.sort_by_key(|gap| gap.from);
        let mut disjoint: Vec<Gap> = Vec::with_capacity(gaps.len());
        for gap in gaps {
            match disjoint.last_mut() {
                Some(last) if gap.from <= last.to => last.to = last.to.max(gap.to),
                _ => disjoint.push(gap),
            }
        }
        Self { gaps: disjoint }
    }

    /// Returns the time since which the system has listened for so long, without the gaps. A device last seen before it
    /// has been silent for longer.
    pub fn back(&self, now: Timestamp, listened: SignedDuration) -> Timestamp {
        let (mut at, mut left) = (now, listened);
        for gap in self.gaps.iter().rev().filter(|gap| gap.from < now) {
            let after = at.duration_since(gap.to);
            if after >= left {
                break;
            }
            left -= after.max(SignedDuration::ZERO);
            at = at.min(gap.from);
        }
        at.saturating_sub(left).unwrap_or(Timestamp::MIN)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn back(gaps: &[(i64, i64)], now: i64, listened: i64) -> i64 {
        let gaps = gaps.iter().map(|(from, to)| Gap { from: at(*from), to: at(*to) }).collect();
        Listening { gaps }.back(at(now), SignedDuration::from_secs(listened)).as_second()
    }

    #[test]
    fn a_silence_is_counted_only_while_we_listened() {
        for (gaps, now, listened, since) in [
            (&[][..], 1_000, 100, 900),
            (&[(500, 600)], 1_000, 100, 900),
            (&[(500, 600)], 1_000, 400, 600),
            (&[(500, 600)], 1_000, 401, 499),
            (&[(500, 600)], 1_000, 450, 450),
            (&[(300, 350), (500, 600)], 1_000, 600, 250),
            // Just back: nothing could be received in the gap.
            (&[(500, 1_000)], 1_000, 100, 400),
            (&[(500, 1_000)], 900, 100, 400),
            (&[(1_500, 1_600)], 1_000, 100, 900),
        ] {
            assert_eq!(back(gaps, now, listened), since, "{gaps:?} {now} {listened}");
        }
    }
}
