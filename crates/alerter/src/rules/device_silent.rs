//! `DeviceSilent`: nothing was received from a device for a day, by our clock.

use std::ops::Range;

use jiff::{SignedDuration, Timestamp};
use pisync_core::models::Listening;

use super::verdict::Verdict;

/// How long ago its time may have run out to begin with: who was silent before that is shown, and
/// pages nobody.
const RECENT: SignedDuration = SignedDuration::from_hours(2);

/// The last word of those whose time ran out only now: who was last heard of in this range.
pub fn newly_silent(patience: SignedDuration, listening: &Listening, now: Timestamp) -> Range<Timestamp> {
    let oldest = patience.saturating_add(RECENT);
    listening.back(now, oldest)..listening.back(now, patience)
}

/// Whether a device that was last heard of then is silent.
pub fn judge(last_seen: Option<Timestamp>, patience: SignedDuration, listening: &Listening, now: Timestamp) -> Verdict {
    match last_seen {
        // Redis was emptied, or the device forgotten: it is not silent, it is not known.
        None => Verdict::Unknown,
        Some(last_seen) if last_seen < listening.back(now, patience) => Verdict::Wrong,
        Some(_) => Verdict::Well,
    }
}

#[cfg(test)]
mod tests {
    use pisync_core::models::Gap;

    use super::{Verdict::*, *};

    const DAY: SignedDuration = SignedDuration::from_hours(24);

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn is_silent_after_a_day_in_which_we_listened() {
        let now = at("2026-11-24T12:00:00Z");
        let away = Gap { from: at("2026-11-24T02:00:00Z"), to: at("2026-11-24T08:00:00Z") };
        for (last_seen, without_gap, with_gap) in [
            ("2026-11-24T11:00:00Z", Well, Well),
            ("2026-11-23T12:00:00Z", Well, Well),
            ("2026-11-23T11:59:59Z", Wrong, Well),
            ("2026-11-23T06:00:00Z", Wrong, Well),
            ("2026-11-23T05:59:59Z", Wrong, Wrong),
        ] {
            let verdict = |gaps: &[Gap]| judge(Some(at(last_seen)), DAY, &Listening { gaps: gaps.into() }, now);
            assert_eq!((verdict(&[]), verdict(&[away])), (without_gap, with_gap), "{last_seen}");
        }
        assert_eq!(judge(None, DAY, &Listening::default(), now), Unknown);
    }

    #[test]
    fn a_restart_after_six_hours_makes_nobody_silent() {
        let back = at("2026-11-24T08:00:00Z");
        let away = Gap { from: at("2026-11-24T02:00:00Z"), to: back };
        // Everyone who was well before the outage: heard of in the hour before it.
        let silent = newly_silent(DAY, &Listening { gaps: vec![away] }, back);
        assert_eq!(silent, at("2026-11-23T00:00:00Z")..at("2026-11-23T02:00:00Z"));
    }
}
