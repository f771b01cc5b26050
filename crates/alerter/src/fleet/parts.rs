//! What is known of the parts of the fleet that a rule has looked at.

use std::collections::HashMap;

use jiff::Timestamp;
use pisync_core::{
    models::{AlertId, AlertName, Scope, Subject},
    store::{KeptIncident, StoreError},
};

use super::Fleet;
use crate::incident::SAME_INCIDENT;

impl Fleet {
    /// The incidents of parts that are open, or could come back.
    pub(super) async fn known_parts(
        &self,
        name: AlertName,
        now: Timestamp,
    ) -> Result<HashMap<Scope, KeptIncident>, StoreError> {
        let ended = self.store.alerts().ended_of_rule(name, now - SAME_INCIDENT).await?;
        let mut known = HashMap::<Scope, KeptIncident>::new();
        for kept in ended.into_iter().chain(self.open_parts(name).await?) {
            let Some(scope) = kept.incident.alert.scope().cloned() else { continue };
            let rank = |kept: &KeptIncident| (kept.incident.is_open(), kept.incident.state_since);
            if known.get(&scope).is_none_or(|known| rank(known) <= rank(&kept)) {
                known.insert(scope, kept);
            }
        }
        Ok(known)
    }

    /// The incidents of parts that are open.
    pub(super) async fn open_parts(&self, name: AlertName) -> Result<Vec<KeptIncident>, StoreError> {
        let mut open = self.store.alerts().open_of_rule(name).await?;
        open.retain(|kept| kept.incident.alert.scope().is_some());
        Ok(open)
    }

    /// The open alert of this name of the whole fleet.
    pub(super) async fn open_of(&self, name: AlertName) -> Result<Option<AlertId>, StoreError> {
        let open = self.store.alerts().open_of_rule(name).await?;
        let of_whole = open.iter().find(|kept| kept.incident.alert.subject == Subject::Fleet);
        Ok(of_whole.map(|kept| kept.incident.alert.id))
    }
}
