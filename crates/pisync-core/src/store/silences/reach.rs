//! The reach of a silence: the devices and open alerts that it would affect.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::{Stream, StreamExt, TryStreamExt};
use tokio::task::coop::consume_budget;

use super::Silences;
use crate::{
    models::{ALERTNAME, AlertName, Matcher, MatcherKind},
    store::{StoreError, VersionedIncident},
};

/// The number of open alerts read at a time.
const BATCH_SIZE: usize = 1_000;

/// The reach of a silence.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SilenceReach {
    /// Devices with a counter that it matches, for the rules that it matches.
    pub devices: u64,
    /// Open alerts that it matches now.
    pub open_alerts: u64,
}

impl Silences {
    /// Returns the reach of a silence with these matchers. The ids or labels of devices are read
    /// along their index, from the first that can match to the last.
    pub async fn reach(&self, matchers: &[Matcher]) -> Result<SilenceReach, StoreError> {
        let mut rules: BTreeSet<_> = AlertName::KNOWN.iter().map(AlertName::to_string).collect();
        let (mut open, mut open_alerts) = (self.open_labels().await?, 0);
        while let Some(page) = open.try_next().await? {
            let fits = |labels: &&BTreeMap<String, String>| matchers.iter().all(|matcher| matcher.matches(labels));
            open_alerts += page.iter().filter(fits).count() as u64;
            rules.extend(page.into_iter().filter_map(|mut labels| labels.remove(ALERTNAME)));
        }
        Ok(SilenceReach { devices: self.devices(matchers, &rules).await?, open_alerts })
    }

    /// Returns the labels of each open alert, a bounded number at a time.
    pub async fn open_labels(
        &self,
    ) -> Result<impl Stream<Item = Result<Vec<BTreeMap<String, String>>, StoreError>> + Send + Unpin + use<>, StoreError>
    {
        let labels = |kept: &VersionedIncident| kept.incident.alert.labels();
        let labels = move |open: Vec<VersionedIncident>| open.iter().map(labels).collect();
        Ok(self.alerts().open(BATCH_SIZE).await?.map_ok(labels).boxed())
    }

    async fn devices(&self, matchers: &[Matcher], rules: &BTreeSet<String>) -> Result<u64, StoreError> {
        let (of_rule, rest): (Vec<_>, Vec<_>) = matchers.iter().partition(|matcher| matcher.label() == ALERTNAME);
        if !rules.iter().any(|name| of_rule.iter().all(|matcher| matcher.fits(name))) {
            return Ok(0);
        }
        if rest.iter().any(|matcher| matcher.is_of_devices()) {
            return self.counters().count_matching(&rest).await;
        }
        if rest.is_empty() {
            return self.counters().estimated_count().await;
        }
        let beginnings = rest.iter().filter(|matcher| matcher.kind() != MatcherKind::Pattern);
        let prefix = beginnings.map(|matcher| matcher.value()).max_by_key(|value| value.len()).unwrap_or_default();
        let ids = self.counters().ids_with(prefix).await?;
        let count = ids.try_fold(0, async |count, id| {
            // Thousands of ids come at once: other tasks of this thread get their turn between them.
            consume_budget().await;
            Ok(count + u64::from(rest.iter().all(|matcher| matcher.fits(&id))))
        });
        count.await
    }
}
