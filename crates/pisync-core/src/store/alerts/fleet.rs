//! Queries of incidents for the rules of the fleet, each by an index.

use bson::{DateTime, Document, doc, raw::RawDocument};
use futures_util::{Stream, StreamExt, TryStreamExt};
use jiff::Timestamp;
use mongodb::options::Hint;

use super::{Alerts, NAME, VersionedIncident, last_keys};
use crate::{
    models::{AlertName, AlertState, DeviceId},
    store::{
        StoreError,
        documents::{self, Unreadable},
    },
};

impl Alerts {
    /// Returns the open incidents of these fingerprints.
    pub async fn open_by_fingerprint(&self, fingerprints: &[String]) -> Result<Vec<VersionedIncident>, StoreError> {
        self.found_open(doc! { "fingerprint": { "$in": fingerprints }, "open": true }).await
    }

    /// Returns all open incidents of a rule.
    pub async fn open_of_rule(&self, name: AlertName) -> Result<Vec<VersionedIncident>, StoreError> {
        self.found_open(doc! { "fingerprint": of_rule(name), "open": true }).await
    }

    /// Returns the incidents of a rule that changed their state after a time, with the open ones.
    pub async fn ended_of_rule(&self, name: AlertName, after: Timestamp) -> Result<Vec<VersionedIncident>, StoreError> {
        let filter = doc! { "fingerprint": of_rule(name), "stateSince": { "$gt": DateTime::from(after) } };
        self.found(filter, Hint::Keys(last_keys())).await
    }

    /// Returns the devices with an open incident of this name that began at `from` or later, and at
    /// `to` at the latest, `most` at a time.
    pub async fn devices_open(
        &self,
        name: AlertName,
        from: Timestamp,
        to: Timestamp,
        most: usize,
    ) -> Result<impl Stream<Item = Result<Vec<DeviceId>, StoreError>> + Send + Unpin + use<>, StoreError> {
        let open = AlertState::ALL.into_iter().filter(|state| *state != AlertState::Resolved);
        let filter = doc! {
            "state": { "$in": open.map(AlertState::as_str).collect::<Vec<_>>() },
            "startsAt": { "$gte": DateTime::from(from), "$lte": DateTime::from(to) },
            "alertname": name.as_str(),
        };
        let by_state = Hint::Keys(doc! { "state": 1, "startsAt": -1, "_id": -1 });
        let find = self.collection.find(filter).projection(doc! { "_id": 0, "deviceId": 1 }).hint(by_state);
        let found = find.batch_size(1_000).await?;
        let device = |found: &RawDocument| {
            let device = found.get_str("deviceId").map_err(|_| Unreadable::new("deviceId", "expected a device id"))?;
            DeviceId::parse(device).map_err(|error| Unreadable::new("deviceId", error.to_string()))
        };
        Ok(documents::readable(NAME, found, device).try_chunks(most).map_err(|error| error.1).boxed())
    }

    /// Returns the number of incidents of single devices, open or resolved; for tests.
    #[cfg(feature = "testing")]
    pub async fn count_of_devices(&self) -> Result<u64, StoreError> {
        Ok(self.collection.count_documents(doc! { "deviceId": { "$exists": true } }).await?)
    }
}

/// Returns a filter for a rule. Fingerprints are the name, a slash, and the subject; the character after a slash is 0.
pub(super) fn of_rule(name: AlertName) -> Document {
    doc! { "$gte": format!("{name}/"), "$lt": format!("{name}0") }
}
