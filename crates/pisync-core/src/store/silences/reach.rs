//! How many devices and open alerts a silence would be about.

use futures_util::TryStreamExt;

use super::Silences;
use crate::{
    models::{ALERTNAME, AlertName, DEVICE_ID, Matcher, MatcherKind},
    store::StoreError,
};

/// How much a silence would be about.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Reach {
    /// Devices that have a counter and that it matches, for the rules that it matches.
    pub devices: u64,
    /// Open alerts that it matches now.
    pub open_alerts: u64,
}

impl Silences {
    /// How much a silence with these matchers would be about. The ids of devices are walked along
    /// their index, from the first that can match to the last.
    pub async fn reach(&self, matchers: &[Matcher]) -> Result<Reach, StoreError> {
        let open = self.alerts().find_open(None).await?;
        let fits = |labels| matchers.iter().all(|matcher| matcher.matches(&labels));
        let open_alerts = open.iter().filter(|kept| fits(kept.incident.alert.labels())).count() as u64;
        Ok(Reach { devices: self.devices(matchers).await?, open_alerts })
    }

    async fn devices(&self, matchers: &[Matcher]) -> Result<u64, StoreError> {
        let (of_device, of_rule): (Vec<_>, Vec<_>) = matchers.iter().partition(|matcher| matcher.label() == DEVICE_ID);
        let fits_rule = |name: &AlertName| {
            of_rule.iter().all(|matcher| matcher.label() == ALERTNAME && matcher.fits(name.as_str()))
        };
        if !AlertName::ALL.iter().any(fits_rule) {
            return Ok(0);
        }
        if of_device.is_empty() {
            return self.counters().estimated_count().await;
        }
        let beginnings = of_device.iter().filter(|matcher| matcher.kind() != MatcherKind::Pattern);
        let prefix = beginnings.map(|matcher| matcher.value()).max_by_key(|value| value.len()).unwrap_or_default();
        let ids = self.counters().ids_with(prefix).await?;
        let count =
            ids.try_fold(0, async |count, id| Ok(count + u64::from(of_device.iter().all(|matcher| matcher.fits(&id)))));
        count.await
    }
}
