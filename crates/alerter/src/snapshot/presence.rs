//! The number of expected and of absent devices, in the whole fleet and in its parts.
//!
//! Redis counts the devices of the whole. The parts of a device are in its counter. Counters are read for absent
//! devices at each evaluation, and for all others only from time to time, since the size of a part changes slowly.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::TryStreamExt;
use jiff::{SignedDuration, Timestamp};
use pisync_core::models::{DeviceId, FleetPart, FleetWindowsFold, Labels};

use super::{PAGE, ReadError, Snapshot};

/// The number of expected devices, and of absent ones among them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Presence {
    /// The number of devices that were heard of not too long ago.
    pub(crate) expected: u64,
    /// The number of them that are silent now.
    pub(crate) absent: u64,
}

/// The last-seen limits of absent devices.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct AbsenceLimits {
    /// A device is expected if it was heard of at this time or later, UTC.
    pub(crate) expected_since: Timestamp,
    /// A device is absent if it was last heard of before this time, UTC.
    pub(crate) absent_since: Timestamp,
}

/// The time for which counted sizes of parts are used.
const GOOD_FOR: SignedDuration = SignedDuration::from_mins(10);

/// The counted numbers of expected devices in parts of the fleet.
#[derive(Debug, Default)]
pub(super) struct Sizes {
    at: Timestamp,
    of: BTreeMap<FleetPart, u64>,
}

impl Snapshot {
    /// Returns the number of expected and of absent devices in the whole fleet.
    pub(crate) async fn presence(&self, reach: AbsenceLimits) -> Result<Presence, ReadError> {
        let expected = self.source.last_seen.count_since(reach.expected_since).await?;
        let present = self.source.last_seen.count_since(reach.absent_since).await?;
        Ok(Presence { expected, absent: expected.saturating_sub(present) })
    }

    /// Returns the same for each part with `at_least` so many absent devices, and for each with an open
    /// incident that the config still names. If fewer are absent in the `whole`, only the latter are counted.
    pub(crate) async fn presence_of_parts(
        &self,
        reach: AbsenceLimits,
        whole: Presence,
        at_least: u64,
    ) -> Result<BTreeMap<FleetPart, Presence>, ReadError> {
        let open = self.open_scopes();
        if self.common.fleet_by.is_empty() || (open.is_empty() && whole.absent < at_least) {
            return Ok(BTreeMap::new());
        }
        let absent = self.absent_of_parts(reach).await?;
        let is_asked = |scope: &FleetPart, absent: u64| {
            self.common.fleet_by.contains(&scope.label) && (absent >= at_least || open.contains(scope))
        };
        let of = |scope: &FleetPart| absent.get(scope).copied().unwrap_or_default();
        let known: BTreeSet<_> = absent.keys().chain(&open).cloned().collect();
        let asked: BTreeSet<_> = known.iter().filter(|scope| is_asked(scope, of(scope))).cloned().collect();
        if asked.is_empty() {
            return Ok(BTreeMap::new());
        }
        let sizes = self.sizes(&asked, known, reach).await?;
        let presence = |scope: FleetPart| {
            let (absent, expected) = (of(&scope), sizes.get(&scope).copied().unwrap_or_default());
            (scope, Presence { expected: expected.max(absent), absent })
        };
        Ok(asked.into_iter().map(presence).collect())
    }

    /// Returns the number of absent devices in each part.
    async fn absent_of_parts(&self, reach: AbsenceLimits) -> Result<BTreeMap<FleetPart, u64>, ReadError> {
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

    /// Returns the number of expected devices in each of the `known` parts. The numbers may be some minutes old
    /// if they include all `asked` parts.
    async fn sizes(
        &self,
        asked: &BTreeSet<FleetPart>,
        known: BTreeSet<FleetPart>,
        reach: AbsenceLimits,
    ) -> Result<BTreeMap<FleetPart, u64>, ReadError> {
        if let Some(sizes) = self.known().sizes.good(asked, self.now) {
            return Ok(sizes.clone());
        }
        let mut of: BTreeMap<_, _> = known.into_iter().map(|scope| (scope, 0)).collect();
        self.each_heard(reach.expected_since, None, |_, labels| {
            for (label, value) in labels.iter() {
                let scope = FleetPart { label: label.to_owned(), value: value.to_owned() };
                if let Some(count) = of.get_mut(&scope) {
                    *count += 1;
                }
            }
        })
        .await?;
        self.known().sizes = Sizes { at: self.now, of: of.clone() };
        Ok(of)
    }

    /// Calls `take` for each device with labels that was last heard of at `from` or later and before `to`.
    async fn each_heard(
        &self,
        from: Timestamp,
        to: Option<Timestamp>,
        mut take: impl FnMut(&DeviceId, &Labels),
    ) -> Result<(), ReadError> {
        let mut heard = self.source.last_seen.walk(Some(from), to, PAGE);
        while let Some(some) = heard.try_next().await? {
            let devices: Vec<_> = some.iter().map(|(device, _)| device).collect();
            let labels = self.source.store.failure_counters().labels(&devices).await?;
            for (device, labels) in &labels {
                take(device, labels);
            }
        }
        Ok(())
    }
}

impl Sizes {
    /// Returns the sizes if they are fresh and include all asked parts.
    fn good(&self, asked: &BTreeSet<FleetPart>, now: Timestamp) -> Option<&BTreeMap<FleetPart, u64>> {
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
        let scope = |value: &str| FleetPart { label: "region".into(), value: value.into() };
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
