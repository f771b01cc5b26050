//! Fleet first: alerts of the fleet inhibit those of its parts and of single devices.

use std::collections::HashMap;

use jiff::{SignedDuration, Timestamp};
use pisync_core::{
    models::{Alert, AlertId, AlertName, FleetPart, Incident, Labels, Subject},
    store::{Store, StoreError},
};

/// The time before the fleet's alert in which a device's alert may have begun to be part of it.
const BEFORE: SignedDuration = SignedDuration::from_hours(1);

/// The wait for a due digest that does not exist yet. It is long enough for a tick to create it.
const DIGEST_GRACE: SignedDuration = SignedDuration::from_mins(5);

/// The time after its digest is due in which an episode is still read, for an alerter that was away.
const LATE: SignedDuration = SignedDuration::from_hours(24);

/// A rule whose alerts inhibit others.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Inhibitor {
    pub(crate) rule: AlertName,
    /// The rule whose open device alerts the digest lists; `None` if there is no digest.
    pub(crate) digest_of: Option<AlertName>,
}

/// The episodes that inhibit alerts at one time.
#[derive(Debug, Clone, Default)]
pub(crate) struct Inhibition {
    pub(crate) episodes: Vec<Episode>,
    now: Timestamp,
}

/// A time in which the fleet, or a part, was unhealthy.
#[derive(Debug, Clone)]
pub(crate) struct Episode {
    /// The fleet's alert.
    pub(crate) id: AlertId,
    by: Inhibitor,
    /// The part of the fleet that it is about; `None` if it is about the whole.
    pub(crate) scope: Option<FleetPart>,
    starts_at: Timestamp,
    /// The end; `None` while it is open.
    over: Option<Over>,
    /// The digest, while it is open.
    digest: Option<AlertId>,
}

/// The end of an episode.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Over {
    /// Time of the fleet's recovery, UTC.
    pub(crate) ends_at: Timestamp,
    /// Time at which the digest is due, UTC.
    pub(crate) digest_at: Timestamp,
}

impl Episode {
    fn of(incident: &Incident, by: Inhibitor, digest: Option<AlertId>, digest_after: SignedDuration) -> Self {
        let alert = &incident.alert;
        let over = (!incident.is_open()).then(|| Over {
            ends_at: alert.ends_at.unwrap_or(incident.state_since),
            digest_at: incident.state_since.saturating_add(digest_after).unwrap_or(Timestamp::MAX),
        });
        Self { id: alert.id, by, scope: alert.scope().cloned(), starts_at: alert.starts_at, over, digest }
    }

    /// Returns whether a device with these labels is part of it.
    pub(crate) fn is_about(&self, labels: &Labels) -> bool {
        self.scope.as_ref().is_none_or(|scope| scope.holds(labels))
    }

    /// Returns whether a device's alert that began then is part of it.
    fn covers(&self, starts_at: Timestamp) -> bool {
        starts_at >= self.begins() && self.over.is_none_or(|over| starts_at <= over.ends_at)
    }

    /// Returns the time from which alerts of devices are part of it.
    pub(crate) fn begins(&self) -> Timestamp {
        self.starts_at.saturating_sub(BEFORE).unwrap_or(Timestamp::MIN)
    }

    /// Returns the alert that inhibits a device's alert that began then.
    ///
    /// It is the fleet's alert, until two report intervals after its end. Then it is the digest, as long as
    /// that is open. Without a digest, it is the fleet's alert while that is open.
    fn inhibitor(&self, starts_at: Timestamp, now: Timestamp) -> Option<AlertId> {
        if self.by.digest_of.is_none() {
            return self.over.is_none().then_some(self.id);
        }
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

    /// Returns whether its digest also lists the devices of this part. It does if the part failed with the
    /// whole and recovered before the digest of the whole.
    pub(crate) fn speaks_for(&self, part: &Self) -> bool {
        let is_over_before = |over: Over| part.over.is_none_or(|part| part.ends_at <= over.digest_at);
        self.scope.is_none()
            && part.scope.is_some()
            && self.by.rule == part.by.rule
            && self.covers(part.starts_at)
            && self.over.is_none_or(is_over_before)
    }

    /// Returns the rule whose open alerts the digest lists, and the end, if the digest is due.
    pub(crate) fn digest_due(&self, now: Timestamp) -> Option<(AlertName, Over)> {
        self.by.digest_of.zip(self.over.filter(|over| over.digest_at <= now))
    }
}

impl Inhibition {
    /// Reads the current episodes: open, ended recently, or with an open digest.
    pub(crate) async fn read(
        store: &Store,
        inhibitors: &[Inhibitor],
        digest_after: SignedDuration,
        now: Timestamp,
    ) -> Result<Self, StoreError> {
        let alerts = store.alerts();
        let digests = alerts.open_of_rule(AlertName::FLEET_DIGEST).await?;
        let digest = |Alert { id, subject, .. }: &Alert| {
            if let Subject::After(of) = subject { Some((*of, *id)) } else { None }
        };
        let digests: HashMap<_, _> = digests.iter().filter_map(|kept| digest(&kept.incident.alert)).collect();
        let since = now.saturating_sub(digest_after.saturating_add(LATE)).unwrap_or(Timestamp::MIN);
        let mut found = Vec::new();
        for inhibitor in inhibitors {
            found.extend(alerts.open_of_rule(inhibitor.rule).await?);
            if inhibitor.digest_of.is_some() {
                found.extend(alerts.ended_of_rule(inhibitor.rule, since).await?);
            }
        }
        for id in digests.keys() {
            if found.iter().all(|kept| kept.incident.alert.id != *id) {
                found.extend(alerts.find(*id).await?);
            }
        }
        let of = |incident: &Incident| {
            let by = inhibitors.iter().find(|inhibitor| inhibitor.rule == incident.alert.name)?;
            Some(Episode::of(incident, *by, digests.get(&incident.alert.id).copied(), digest_after))
        };
        let mut episodes: Vec<_> = found.iter().filter_map(|kept| of(&kept.incident)).collect();
        episodes.sort_by_key(|episode| (episode.starts_at, episode.id.bytes()));
        episodes.dedup_by_key(|episode| episode.id);
        Ok(Self { episodes, now })
    }

    /// Returns the alert that inhibits this one, which began at `starts_at`, of the rules in `by`.
    pub(crate) fn of(&self, by: &[AlertName], alert: &Alert, starts_at: Timestamp) -> Option<AlertId> {
        by.iter().find_map(|rule| match alert.subject {
            Subject::Device(_) => self.of_device(*rule, &alert.labels, starts_at),
            Subject::Part(_) => self.open_of_whole(*rule),
            // Only a part is inhibited by its own rule.
            Subject::Fleet | Subject::After(_) => self.open_of_whole(*rule).filter(|_| *rule != alert.name),
        })
    }

    /// Returns the alert that inhibits a device's alert. The whole fleet comes before a part.
    fn of_device(&self, by: AlertName, labels: &Labels, starts_at: Timestamp) -> Option<AlertId> {
        let inhibiting = |is_of_part: bool| {
            let of_it = self.episodes.iter().filter(move |episode| episode.scope.is_some() == is_of_part);
            let mut of_it = of_it.filter(|episode| episode.by.rule == by && episode.is_about(labels));
            of_it.find_map(|episode| episode.inhibitor(starts_at, self.now))
        };
        inhibiting(false).or_else(|| inhibiting(true))
    }

    /// Returns the open alert of this rule about the whole fleet.
    pub(crate) fn open_of_whole(&self, rule: AlertName) -> Option<AlertId> {
        let is_it = |episode: &&Episode| episode.by.rule == rule && episode.scope.is_none() && episode.over.is_none();
        self.episodes.iter().find(is_it).map(|episode| episode.id)
    }

    /// Returns whether a digest will follow any open episode.
    pub(crate) fn has_open_episode(&self) -> bool {
        self.episodes.iter().any(|episode| episode.over.is_none() && episode.by.digest_of.is_some())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::at;

    fn id(byte: u8) -> AlertId {
        AlertId::from_bytes([byte; 12])
    }

    fn episode(over: Option<(&str, &str)>, digest: Option<AlertId>) -> Episode {
        let over = over.map(|(ends_at, digest_at)| Over { ends_at: at(ends_at), digest_at: at(digest_at) });
        let (rule, digest_of) = (AlertName::FLEET_SYNC_FAILING, Some(AlertName::DEVICE_SYNC_FAILING));
        Episode { id: id(1), by: Inhibitor { rule, digest_of }, scope: None, starts_at: at("10:00"), over, digest }
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
            // An evaluation just after it was due does not know yet whether there is one.
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
        let scope = Some(FleetPart { label: "region".into(), value: "nord".into() });
        let part = Episode { id: id(2), scope, ..episode(None, None) };
        let of = |value: &str| Labels::new([("region".into(), value.into())]).unwrap();
        let (by, since, now) = (AlertName::FLEET_SYNC_FAILING, at("10:30"), at("11:00"));
        let held = |episodes: &[Episode], labels: &Labels| {
            Inhibition { episodes: episodes.to_vec(), now }.of_device(by, labels, since)
        };
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
        let is_due = |over, now: &str| episode(over, None).digest_due(at(now)).is_some();
        assert!(!is_due(None, "20:00"));
        assert!(!is_due(Some(("12:00", "14:30")), "14:29"));
        assert!(is_due(Some(("12:00", "14:30")), "14:30"));
    }
}
