//! Fleet first: which alerts inhibit those of parts and of single devices.

use jiff::{SignedDuration, Timestamp};
use pisync_core::models::{Alert, AlertId, AlertName, Labels, Scope, Subject};

/// How long before the fleet's alert a device's may have begun to be part of it.
const BEFORE: SignedDuration = SignedDuration::from_hours(1);

/// For how long after the digest is due a look that does not make it waits for it: until a tick
/// has surely come.
const DIGEST_GRACE: SignedDuration = SignedDuration::from_mins(5);

/// Which alert of the fleet inhibits which of devices.
pub(crate) const INHIBITS: [(AlertName, AlertName); 2] =
    [(AlertName::FleetSyncFailing, AlertName::DeviceSyncFailing), (AlertName::FleetSilent, AlertName::DeviceSilent)];

/// All that inhibits alerts at one time.
#[derive(Debug, Clone, Default)]
pub(crate) struct Inhibition {
    /// The episodes that matter now.
    pub(crate) episodes: Vec<Episode>,
    /// The open alert that the pipeline is stalled: nobody knows who is silent meanwhile.
    pub(crate) stalled: Option<AlertId>,
}

/// A time in which something was wrong with the fleet, and what came of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Episode {
    /// The fleet's alert.
    pub(crate) id: AlertId,
    /// The part of the fleet that it is about; none where it is about all.
    pub(crate) scope: Option<Scope>,
    /// Which alerts of devices it inhibits.
    pub(crate) inhibits: AlertName,
    /// When it began.
    pub(crate) starts_at: Timestamp,
    /// When it was over, and when that was found; none while it is open.
    pub(crate) over: Option<Over>,
    /// The digest, while it is open.
    pub(crate) digest: Option<AlertId>,
}

/// The end of an episode.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Over {
    /// When the fleet was well again.
    pub(crate) ends_at: Timestamp,
    /// When the digest is due.
    pub(crate) digest_at: Timestamp,
}

impl Episode {
    /// Whether a device with these labels is part of it.
    pub(crate) fn is_about(&self, labels: &Labels) -> bool {
        self.scope.as_ref().is_none_or(|scope| scope.holds(labels))
    }

    /// Whether a device's alert that began then is part of it.
    pub(crate) fn covers(&self, starts_at: Timestamp) -> bool {
        starts_at >= self.begins() && self.over.is_none_or(|over| starts_at <= over.ends_at)
    }

    /// From when on what begins is part of it.
    pub(crate) fn begins(&self) -> Timestamp {
        self.starts_at.saturating_sub(BEFORE).unwrap_or(Timestamp::MIN)
    }

    /// Returns what inhibits a device's alert that began then: the fleet's, until two report intervals
    /// after its end; then the digest that names it, as long as that is open.
    pub(crate) fn inhibitor(&self, starts_at: Timestamp, now: Timestamp) -> Option<AlertId> {
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
    pub(crate) fn speaks_for(&self, part: &Self) -> bool {
        let is_over_before = |over: Over| part.over.is_none_or(|part| part.ends_at <= over.digest_at);
        self.scope.is_none()
            && part.scope.is_some()
            && self.inhibits == part.inhibits
            && self.covers(part.starts_at)
            && self.over.is_none_or(is_over_before)
    }

    /// Whether those who are still failing are to be named now.
    pub(crate) fn digest_is_due(&self, now: Timestamp) -> bool {
        self.over.is_some_and(|over| over.digest_at <= now)
    }
}

impl Inhibition {
    /// Returns what inhibits an alert of the fleet, a part, or a device with these labels, that began
    /// then.
    pub(crate) fn of(&self, alert: &Alert, labels: &Labels, starts_at: Timestamp, now: Timestamp) -> Option<AlertId> {
        let by_episode = |rule| inhibitor(&self.episodes, rule, labels, starts_at, now);
        match (alert.name, &alert.subject) {
            (AlertName::DeviceSyncFailing | AlertName::DeviceFlapping, _) => by_episode(AlertName::DeviceSyncFailing),
            (AlertName::DeviceSilent, _) => self.stalled.or_else(|| by_episode(AlertName::DeviceSilent)),
            (AlertName::FleetSilent, Subject::Scope(_)) => {
                self.stalled.or_else(|| self.open_of_whole(AlertName::DeviceSilent))
            }
            (AlertName::FleetSilent, _) => self.stalled,
            (AlertName::FleetSyncFailing, Subject::Scope(_)) => self.open_of_whole(AlertName::DeviceSyncFailing),
            (AlertName::FleetSyncFailing | AlertName::FleetDigest | AlertName::PipelineStalled, _) => None,
        }
    }

    /// Returns the open alert of the whole fleet that inhibits these alerts of devices.
    pub(crate) fn open_of_whole(&self, devices: AlertName) -> Option<AlertId> {
        let is_it =
            |episode: &&Episode| episode.inhibits == devices && episode.scope.is_none() && episode.over.is_none();
        self.episodes.iter().find(is_it).map(|episode| episode.id)
    }

    /// Returns whether any episode is open.
    pub(crate) fn has_open_episode(&self) -> bool {
        self.episodes.iter().any(|episode| episode.over.is_none())
    }

    /// Returns whether the labels of devices matter to what inhibits them.
    pub(crate) fn asks_for_labels(&self, rule: AlertName) -> bool {
        let rule = if rule == AlertName::DeviceFlapping { AlertName::DeviceSyncFailing } else { rule };
        self.episodes.iter().any(|episode| episode.inhibits == rule && episode.scope.is_some())
    }
}

/// Returns what of these inhibits an alert of this name that began then, of a device with these labels; an
/// episode of the whole fleet comes before one of a part.
fn inhibitor(
    episodes: &[Episode],
    name: AlertName,
    labels: &Labels,
    starts_at: Timestamp,
    now: Timestamp,
) -> Option<AlertId> {
    let inhibiting = |is_of_part: bool| {
        let of_it = episodes.iter().filter(move |episode| episode.scope.is_some() == is_of_part);
        let mut of_it = of_it.filter(|episode| episode.inhibits == name && episode.is_about(labels));
        of_it.find_map(|episode| episode.inhibitor(starts_at, now))
    };
    inhibiting(false).or_else(|| inhibiting(true))
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
        let (inhibits, starts_at) = (AlertName::DeviceSyncFailing, at("10:00"));
        Episode { id: id(1), scope: None, inhibits, starts_at, over, digest }
    }

    #[test]
    fn what_began_up_to_an_hour_before_the_fleets_alert_or_later_is_held() {
        for (starts_at, is_held) in [("08:59", false), ("09:00", true), ("10:30", true), ("13:00", true)] {
            let held = episode(None, None).inhibitor(at(starts_at), at("13:00"));
            assert_eq!(held, is_held.then_some(id(1)), "{starts_at}");
        }
    }

    #[test]
    fn after_its_end_what_began_before_it_waits_for_the_digest_and_all_else_is_free() {
        let over = Some(("12:00", "14:30"));
        for (starts_at, now, digest, inhibitor) in [
            ("11:59", "12:31", None, Some(id(1))),
            ("12:01", "12:31", None, None),
            ("08:59", "12:31", None, None),
            // A look just after it was due does not know yet whether there is one.
            ("11:59", "14:34", None, Some(id(1))),
            ("11:59", "14:35", None, None),
            ("11:59", "20:00", Some(id(2)), Some(id(2))),
            ("12:01", "20:00", Some(id(2)), None),
        ] {
            let held = episode(over, digest).inhibitor(at(starts_at), at(now));
            assert_eq!(held, inhibitor, "{starts_at} {now}");
        }
    }

    #[test]
    fn an_episode_of_a_part_holds_back_the_devices_of_that_part_alone() {
        let scope = Some(Scope { label: "region".into(), value: "nord".into() });
        let part = Episode { id: id(2), scope, ..episode(None, None) };
        let of = |value: &str| Labels::new([("region".into(), value.into())]).unwrap();
        let (name, since, now) = (AlertName::DeviceSyncFailing, at("10:30"), at("11:00"));
        let held = |episodes: &[Episode], labels: &Labels| inhibitor(episodes, name, labels, since, now);
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
