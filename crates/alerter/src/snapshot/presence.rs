//! How many devices are expected and how many of these are absent, of the whole fleet and of its
//! parts.
//!
//! Of the whole Redis counts them. Which parts a device is in its newest row says: of those that are
//! absent it is looked up at each look, and of all others only from time to time, since how large a
//! part is changes slowly.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::TryStreamExt;
use jiff::{SignedDuration, Timestamp};
use pisync_core::models::{DeviceId, FleetWindowsFold, Labels, Scope};

use super::{PAGE, ReadError, Snapshot};

/// How many devices are expected, and how many of these are absent.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Presence {
    /// Devices that were heard of not too long ago.
    pub(crate) expected: u64,
    /// Those of them that are silent now.
    pub(crate) absent: u64,
}

/// Between which times the devices that are absent were last heard of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Reach {
    /// Who was last heard of before this is expected no more.
    pub(crate) expected_since: Timestamp,
    /// Who was last heard of before this is absent.
    pub(crate) absent_since: Timestamp,
}

/// For how long the sizes of the parts are good once they were counted.
const GOOD_FOR: SignedDuration = SignedDuration::from_mins(10);

/// How many devices are expected in parts of the fleet, as they were counted.
#[derive(Debug, Default)]
pub(super) struct Sizes {
    at: Timestamp,
    of: BTreeMap<Scope, u64>,
}

impl Snapshot {
    /// Returns how many devices of the whole fleet are expected and absent.
    pub(crate) async fn presence(&self, reach: Reach) -> Result<Presence, ReadError> {
        let expected = self.source.last_seen.count_since(reach.expected_since).await?;
        let present = self.source.last_seen.count_since(reach.absent_since).await?;
        Ok(Presence { expected, absent: expected.saturating_sub(present) })
    }

    /// Returns the same of each part of which `at_least` so many are absent, and of each with an open incident
    /// that the config still names. While fewer are absent of the `whole`, only the latter are looked for.
    pub(crate) async fn presence_of_parts(
        &self,
        reach: Reach,
        whole: Presence,
        at_least: u64,
    ) -> Result<BTreeMap<Scope, Presence>, ReadError> {
        let open = self.open_scopes();
        if self.common.fleet_by.is_empty() || (open.is_empty() && whole.absent < at_least) {
            return Ok(BTreeMap::new());
        }
        let absent = self.absent_of_parts(reach).await?;
        let is_asked = |scope: &Scope, absent: u64| {
            self.common.fleet_by.contains(&scope.label) && (absent >= at_least || open.contains(scope))
        };
        let of = |scope: &Scope| absent.get(scope).copied().unwrap_or_default();
        let known: BTreeSet<_> = absent.keys().chain(&open).cloned().collect();
        let asked: BTreeSet<_> = known.iter().filter(|scope| is_asked(scope, of(scope))).cloned().collect();
        if asked.is_empty() {
            return Ok(BTreeMap::new());
        }
        let sizes = self.sizes(&asked, known, reach).await?;
        let presence = |scope: Scope| {
            let (absent, expected) = (of(&scope), sizes.get(&scope).copied().unwrap_or_default());
            (scope, Presence { expected: expected.max(absent), absent })
        };
        Ok(asked.into_iter().map(presence).collect())
    }

    /// How many are absent in each part.
    async fn absent_of_parts(&self, reach: Reach) -> Result<BTreeMap<Scope, u64>, ReadError> {
        let mut fold = FleetWindowsFold::by(&self.common.fleet_by);
        self.each_heard(reach.expected_since, Some(reach.absent_since), |device, labels| {
            fold.add(device.as_str(), None, labels.iter());
        })
        .await?;
        let windows = fold.windows();
        if windows.left_out > 0 {
            log::warn!(devices = windows.left_out; "fleet_by has labels with too many values: these silent devices are in no part");
        }
        Ok(windows.scopes.into_iter().map(|(scope, window)| (scope, window.reporting)).collect())
    }

    /// How many are expected in each of the `known` parts, counted not long ago with all of the `asked`
    /// ones among them.
    async fn sizes(
        &self,
        asked: &BTreeSet<Scope>,
        known: BTreeSet<Scope>,
        reach: Reach,
    ) -> Result<BTreeMap<Scope, u64>, ReadError> {
        if let Some(sizes) = self.known().sizes.good(asked, self.now) {
            return Ok(sizes.clone());
        }
        let mut of: BTreeMap<_, _> = known.into_iter().map(|scope| (scope, 0)).collect();
        self.each_heard(reach.expected_since, None, |_, labels| {
            for (label, value) in labels.iter() {
                let scope = Scope { label: label.to_owned(), value: value.to_owned() };
                if let Some(count) = of.get_mut(&scope) {
                    *count += 1;
                }
            }
        })
        .await?;
        self.known().sizes = Sizes { at: self.now, of: of.clone() };
        Ok(of)
    }

    /// Hands on each device with labels that was last heard of at `from` or later and before `to`.
    async fn each_heard(
        &self,
        from: Timestamp,
        to: Option<Timestamp>,
        mut take: impl FnMut(&DeviceId, &Labels),
    ) -> Result<(), ReadError> {
        let mut heard = self.source.last_seen.walk(Some(from), to, PAGE);
        while let Some(some) = heard.try_next().await? {
            let devices: Vec<_> = some.iter().map(|(device, _)| device).collect();
            let labels = self.source.store.sync_events().newest_labels(&devices).await?;
            for (device, labels) in &labels {
                take(device, labels);
            }
        }
        Ok(())
    }
}

impl Sizes {
    /// The sizes, where they are not too old and all that is asked for is among them.
    fn good(&self, asked: &BTreeSet<Scope>, now: Timestamp) -> Option<&BTreeMap<Scope, u64>> {
        let is_fresh = (SignedDuration::ZERO..GOOD_FOR).contains(&now.duration_since(self.at));
        (is_fresh && asked.iter().all(|scope| self.of.contains_key(scope))).then_some(&self.of)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::second as at;

    #[test]
    fn sizes_are_good_for_ten_minutes_and_only_for_parts_that_were_counted() {
        let scope = |value: &str| Scope { label: "region".into(), value: value.into() };
        let sizes = Sizes { at: at(1_000), of: BTreeMap::from([(scope("nord"), 90), (scope("sud"), 0)]) };
        for (asked, second, is_good) in [
            (["nord"].as_slice(), 1_000, true),
            (&["nord", "sud"], 1_599, true),
            (&["nord"], 1_600, false),
            (&["nord"], 999, false),
            (&["nord", "est"], 1_000, false),
        ] {
            let asked = asked.iter().map(|value| scope(value)).collect();
            assert_eq!(sizes.good(&asked, at(second)).is_some(), is_good, "{asked:?} {second}");
        }
    }
}
