//! The list of incidents for people, step by step along an index.

use bson::{Bson, DateTime, Document, RawDocumentBuf, doc, oid::ObjectId};
use futures_util::TryStreamExt;
use jiff::Timestamp;
use mongodb::{
    IndexModel,
    options::{Hint, IndexOptions},
};
use serde::Deserialize;

use super::{Alerts, NAME, document};
use crate::{
    models::{Alert, AlertId, AlertName, AlertState, DeviceId, Incident},
    store::{
        Step, StoreError,
        documents::{self, Along, Whole},
        index, object_id,
    },
};

/// A filter of incidents; without conditions, all of them.
#[derive(Debug, Clone, Default)]
pub struct AlertFilter {
    /// Those in this state.
    pub state: Option<AlertState>,
    /// Those of this device.
    pub device_id: Option<DeviceId>,
    /// Those that another alert inhibits, or not.
    pub inhibition: InhibitionFilter,
}

/// Whether another alert inhibits it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum InhibitionFilter {
    /// Inhibited or not.
    #[default]
    Any,
    /// Not inhibited.
    Not,
    /// Inhibited by this one.
    By(AlertId),
}

/// The number of open incidents that one alert inhibits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InhibitedCount {
    /// The inhibiting alert.
    pub by: AlertId,
    /// The number of incidents.
    pub count: u64,
}

/// Returns the order of the list; both indexes end with it.
fn newest_first() -> Document {
    doc! { "startsAt": -1, "_id": -1 }
}

pub(super) fn indexes() -> [IndexModel; 3] {
    [keys("state"), keys("deviceId"), keys("inhibitedBy")].map(|keys| index(keys, IndexOptions::default()))
}

/// Returns the keys of an index. The state precedes the order: each state is a range of the index, and the server
/// merges the ranges if all states are asked for.
pub(super) fn keys(first: &str) -> Document {
    let mut keys = doc! { first: 1, "state": 1 };
    keys.extend(newest_first());
    keys
}

impl Alerts {
    /// Returns up to `limit` incidents, those that began last first, ties by id; after `after` if it is given.
    pub async fn list(
        &self,
        filter: &AlertFilter,
        after: Option<(Timestamp, AlertId)>,
        limit: u32,
    ) -> Result<Step<Incident>, StoreError> {
        let most = limit as usize + 1;
        let mut found = Vec::new();
        if let Some((at, id)) = after {
            let tied = [("startsAt", DateTime::from(at).into()), ("_id", before(object_id(id.bytes())))];
            found = self.listed(filter, tied, most).await?;
        }
        if found.len() < most {
            let end = after.map_or(DateTime::MAX, |(at, _)| at.into());
            found.extend(self.listed(filter, [("startsAt", before(end))], most - found.len()).await?);
        }
        let more = found.len() == most;
        found.truncate(limit as usize);
        Ok(Step { found, more })
    }

    /// Returns the open incident of a device.
    pub async fn open_of(&self, device_id: &DeviceId) -> Result<Option<Incident>, StoreError> {
        let fingerprint = Alert::fingerprint(AlertName::DEVICE_SYNC_FAILING, device_id);
        let open = self.collection.find_one(doc! { "fingerprint": fingerprint, "open": true });
        let open = open.hint(Hint::Keys(doc! { "fingerprint": 1 })).await?;
        Ok(open.and_then(|open| documents::read(NAME, &open, document::read)).map(|kept| kept.incident))
    }

    /// Returns the number of open incidents that each alert inhibits, by the index alone; the most first.
    pub async fn inhibited_counts(&self) -> Result<Vec<InhibitedCount>, StoreError> {
        // Any id; `$type` would read each document.
        let any = doc! { "$gte": object_id([0; 12]) };
        let held = doc! { "inhibitedBy": any, "state": AlertState::Firing.as_str() };
        let stages = [
            doc! { "$match": held },
            doc! { "$group": { "_id": "$inhibitedBy", "count": { "$sum": 1_i64 } } },
            doc! { "$sort": { "count": -1, "_id": 1 } },
        ];
        let found = self.collection.aggregate(stages).hint(Hint::Keys(keys("inhibitedBy")));
        let counts = documents::readable(NAME, found.with_type::<RawDocumentBuf>().await?, |group| {
            let group: Group = documents::parse(group)?;
            Ok(InhibitedCount { by: AlertId::from_bytes(group.id.bytes()), count: group.count.0 })
        });
        counts.try_collect().await
    }

    async fn listed<const N: usize>(
        &self,
        filter: &AlertFilter,
        place: [(&str, Bson); N],
        most: usize,
    ) -> Result<Vec<Incident>, StoreError> {
        let states = AlertState::ALL.into_iter();
        let states: Vec<_> = states.filter(|state| filter.state.is_none_or(|asked| asked == *state)).collect();
        let mut asked = doc! { "state": { "$in": states.iter().map(|state| state.as_str()).collect::<Vec<_>>() } };
        if let Some(device_id) = &filter.device_id {
            asked.insert("deviceId", device_id.as_str());
        }
        match filter.inhibition {
            InhibitionFilter::Any => {}
            InhibitionFilter::Not => _ = asked.insert("inhibitedBy", Bson::Null),
            InhibitionFilter::By(id) => _ = asked.insert("inhibitedBy", object_id(id.bytes())),
        }
        asked.extend(place.map(|(field, value)| (field.to_owned(), value)));
        // A device has few incidents, also counting inhibited ones.
        let by = match (&filter.device_id, filter.inhibition) {
            (Some(_), _) => "deviceId",
            (None, InhibitionFilter::Any) => "state",
            (None, InhibitionFilter::Not | InhibitionFilter::By(_)) => "inhibitedBy",
        };
        let along = Along { filter: asked, sort: Some(newest_first()), index: keys(by) };
        let found = documents::up_to(NAME, &self.collection, along, most, document::read).await?;
        Ok(found.into_iter().map(|kept| kept.incident).collect())
    }
}

/// The open incidents that one alert inhibits.
#[derive(Deserialize)]
struct Group {
    #[serde(rename = "_id")]
    id: ObjectId,
    count: Whole<u64>,
}

fn before(place: impl Into<Bson>) -> Bson {
    doc! { "$lt": place.into() }.into()
}
