//! Silences as the alerter and its operator use them.

use std::collections::BTreeMap;

use jiff::Timestamp;
use pisync_core::{
    models::{Silence, SilenceEnd, SilenceId},
    store::{Store, StoreError},
};

/// The most silences that are in force at a time; those that end last come first.
const MOST: u32 = 2_000;

/// Ends silences that wait for it.
pub(crate) struct Silences(Store);

/// The silences that are in force.
pub(crate) async fn in_force(store: &Store, now: Timestamp) -> Result<Vec<Silence>, StoreError> {
    let mut silences = store.silences().not_over(now, MOST).await?;
    silences.retain(|silence| silence.is_active(now));
    Ok(silences)
}

/// Those of them that hold back what has these labels.
pub(crate) fn holding_back(silences: &[Silence], labels: &BTreeMap<String, String>, now: Timestamp) -> Vec<SilenceId> {
    let mut ids: Vec<_> =
        silences.iter().filter(|silence| silence.holds_back(labels, now)).map(|silence| silence.id).collect();
    ids.sort_by_key(|id| id.bytes());
    ids
}

impl Silences {
    pub(crate) fn new(store: Store) -> Self {
        Self(store)
    }

    /// Ends the silences whose alerts are all resolved, after a look at every alert.
    pub(crate) async fn end_what_is_resolved(&self, silences: &[Silence], now: Timestamp) -> Result<(), StoreError> {
        let waiting = || silences.iter().filter(|silence| matches!(silence.end, SilenceEnd::Resolved { .. }));
        if waiting().next().is_none() {
            return Ok(());
        }
        let labels = self.0.silences().open_labels(waiting().any(Silence::asks_for_labels)).await?;
        for silence in waiting() {
            let matches_now = labels.iter().any(|labels| silence.matches(labels));
            if let Some(end) = silence.after_look(matches_now, now) {
                self.0.silences().set_end(silence.id, end).await?;
            }
        }
        Ok(())
    }
}
