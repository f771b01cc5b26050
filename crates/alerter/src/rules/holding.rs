//! Fleet first: what holds back the alerts of single devices while something is wrong with many.

use jiff::{SignedDuration, Timestamp};
use pisync_core::models::{AlertId, AlertName, Labels, Scope};

/// How long before the fleet's alert a device's may have begun to be part of it.
const BEFORE: SignedDuration = SignedDuration::from_hours(1);

/// For how long after the digest is due a look that does not make it waits for it: until a tick
/// has surely come.
const DIGEST_GRACE: SignedDuration = SignedDuration::from_mins(5);

/// A time in which something was wrong with the fleet, and what came of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Episode {
    /// The fleet's alert.
    pub id: AlertId,
    /// The part of the fleet that it is about; none where it is about all.
    pub scope: Option<Scope>,
    /// Which alerts of devices it holds back.
    pub holds: AlertName,
    /// When it began.
    pub starts_at: Timestamp,
    /// When it was over, and when that was found; none while it is open.
    pub over: Option<Over>,
    /// The digest, while it is open.
    pub digest: Option<AlertId>,
}

/// The end of an episode.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Over {
    /// When the fleet was well again.
    pub ends_at: Timestamp,
    /// When the digest is due.
    pub digest_at: Timestamp,
}

impl Episode {
    /// Whether a device with these labels is part of it.
    pub fn is_about(&self, labels: &Labels) -> bool {
        self.scope.as_ref().is_none_or(|scope| scope.holds(labels))
    }

    /// Whether a device's alert that began then is part of it.
    pub fn covers(&self, starts_at: Timestamp) -> bool {
        starts_at >= self.begins() && self.over.is_none_or(|over| starts_at <= over.ends_at)
    }

    /// From when on what begins is part of it.
    pub fn begins(&self) -> Timestamp {
        self.starts_at.saturating_sub(BEFORE).unwrap_or(Timestamp::MIN)
    }

    /// What holds back a device's alert that began then: the fleet's, until two report intervals
    /// after its end; then the digest that names it, as long as that is open.
    pub fn holder(&self, starts_at: Timestamp, now: Timestamp) -> Option<AlertId> {
        if !self.covers(starts_at) {
            return None;
        }
        let waits = |over: Over| over.digest_at.saturating_add(DIGEST_GRACE).unwrap_or(Timestamp::MAX) > now;
        match (self.digest, self.over) {
            (Some(digest), Some(_)) => Some(digest),
            (_, None) => Some(self.id),
            (None, Some(over)) => waits(over).then_some(self.id),
        }
    }

    /// Whether its digest names the devices of that part of the fleet, too: the part failed with the
    /// whole, and was well again before the digest of the whole.
    pub fn speaks_for(&self, part: &Self) -> bool {
        let is_over_before = |over: Over| part.over.is_none_or(|part| part.ends_at <= over.digest_at);
        self.scope.is_none()
            && part.scope.is_some()
            && self.holds == part.holds
            && self.covers(part.starts_at)
            && self.over.is_none_or(is_over_before)
    }

    /// Whether those who are still failing are to be named now.
    pub fn digest_is_due(&self, now: Timestamp) -> bool {
        self.over.is_some_and(|over| over.digest_at <= now)
    }
}

/// What of these holds back an alert of this name that began then, of a device with these labels; an
/// episode of the whole fleet comes before one of a part.
pub fn holder(
    episodes: &[Episode],
    name: AlertName,
    labels: &Labels,
    starts_at: Timestamp,
    now: Timestamp,
) -> Option<AlertId> {
    let holding = |is_of_part: bool| {
        let of_it = episodes.iter().filter(move |episode| episode.scope.is_some() == is_of_part);
        let mut of_it = of_it.filter(|episode| episode.holds == name && episode.is_about(labels));
        of_it.find_map(|episode| episode.holder(starts_at, now))
    };
    holding(false).or_else(|| holding(true))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        format!("2026-11-24T{text}:00Z").parse().unwrap()
    }

    fn id(byte: u8) -> AlertId {
        AlertId::from_bytes([byte; 12])
    }

    fn episode(over: Option<(&str, &str)>, digest: Option<AlertId>) -> Episode {
        let over = over.map(|(ends_at, digest_at)| Over { ends_at: at(ends_at), digest_at: at(digest_at) });
        let (holds, starts_at) = (AlertName::DeviceSyncFailing, at("10:00"));
        Episode { id: id(1), scope: None, holds, starts_at, over, digest }
    }

    #[test]
    fn what_began_up_to_an_hour_before_the_fleets_alert_or_later_is_held() {
        for (starts_at, is_held) in [("08:59", false), ("09:00", true), ("10:30", true), ("13:00", true)] {
            let held = episode(None, None).holder(at(starts_at), at("13:00"));
            assert_eq!(held, is_held.then_some(id(1)), "{starts_at}");
        }
    }

    #[test]
    fn after_its_end_what_began_before_it_waits_for_the_digest_and_all_else_is_free() {
        let over = Some(("12:00", "14:30"));
        for (starts_at, now, digest, holder) in [
            ("11:59", "12:31", None, Some(id(1))),
            ("12:01", "12:31", None, None),
            ("08:59", "12:31", None, None),
            // A look just after it was due does not know yet whether there is one.
            ("11:59", "14:34", None, Some(id(1))),
            ("11:59", "14:35", None, None),
            ("11:59", "20:00", Some(id(2)), Some(id(2))),
            ("12:01", "20:00", Some(id(2)), None),
        ] {
            let held = episode(over, digest).holder(at(starts_at), at(now));
            assert_eq!(held, holder, "{starts_at} {now}");
        }
    }

    #[test]
    fn an_episode_of_a_part_holds_back_the_devices_of_that_part_alone() {
        let scope = Some(Scope { label: "region".into(), value: "nord".into() });
        let part = Episode { id: id(2), scope, ..episode(None, None) };
        let of = |value: &str| Labels::new([("region".into(), value.into())]).unwrap();
        let (name, since, now) = (AlertName::DeviceSyncFailing, at("10:30"), at("11:00"));
        let held = |episodes: &[Episode], labels: &Labels| holder(episodes, name, labels, since, now);
        assert_eq!(held(std::slice::from_ref(&part), &of("nord")), Some(id(2)));
        for elsewhere in [of("sud"), Labels::default()] {
            assert_eq!(held(std::slice::from_ref(&part), &elsewhere), None);
            assert_eq!(held(&[part.clone(), episode(None, None)], &elsewhere), Some(id(1)));
        }
        assert_eq!(held(&[part.clone(), episode(None, None)], &of("nord")), Some(id(1)), "the whole comes first");

        let ended =
            |ends_at: &str| Episode { over: Some(Over { ends_at: at(ends_at), digest_at: now }), ..part.clone() };
        let whole = episode(Some(("12:00", "14:30")), None);
        assert!(whole.speaks_for(&ended("14:30")) && !whole.speaks_for(&ended("14:31")));
        assert!(episode(None, None).speaks_for(&ended("20:00")) && !ended("14:00").speaks_for(&whole));
    }

    #[test]
    fn the_digest_is_due_when_its_time_has_come() {
        let is_due = |over, now: &str| episode(over, None).digest_is_due(at(now));
        assert!(!is_due(None, "20:00"));
        assert!(!is_due(Some(("12:00", "14:30")), "14:29"));
        assert!(is_due(Some(("12:00", "14:30")), "14:30"));
    }
}
