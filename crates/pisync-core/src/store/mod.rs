//! Where events, counters and alerts rest: one repository per `MongoDB` collection.
//!
//! Writes are acknowledged by a majority. Each repository keeps its documents' shape to itself.

mod alerts;
mod dead_letters;
mod documents;
mod error;
mod failure_counters;
mod indexes;
mod retention;
mod silences;
mod sizes;
mod status_hours;
mod summaries;
mod sync_events;
mod sync_hours;
mod update;

use std::time::Duration;

pub use alerts::{AlertFilter, Alerts, Held, HeldCount, HeldGroup, KeptIncident};
use bson::{doc, raw::RawDocumentBuf};
pub use dead_letters::DeadLetters;
pub use error::StoreError;
pub use failure_counters::{FailureCounters, Kept, ListedCounter, Revision, Walked};
use mongodb::{
    Client, Database, IndexModel,
    options::{Acknowledgment, ClientOptions, IndexOptions, WriteConcern},
};
pub use retention::{Progress, Retention};
pub use silences::{Reach, Silences};
pub use sizes::CollectionSize;
pub use status_hours::StatusHours;
pub use summaries::Summaries;
pub use sync_events::{AgedRow, Inserted, NewestRow, Step, StoredEvent, SyncEvents};
pub use sync_hours::SyncHours;

use jiff::Timestamp;
use serde::Deserialize;

use crate::{backoff::Backoff, settings::MongoSettings};

/// How long an operation looks for a server before it fails.
const SERVER_SELECTION: Duration = Duration::from_secs(5);

/// How often the driver looks after the servers: a new primary is found so fast.
const HEARTBEAT: Duration = Duration::from_secs(1);

/// How long a majority may take to have a write; then it counts as not written, and is tried again.
const MAJORITY: Duration = Duration::from_secs(5);

/// How often the indexes are looked after: what has lost its index is served again after that.
const INDEXES_EVERY: Duration = Duration::from_mins(1);

/// How long the server may take to say that it is there.
const PING_PATIENCE: Duration = Duration::from_secs(1);

/// The database. Cheap to clone; clones share a pool of connections.
#[derive(Clone, Debug)]
pub struct Store {
    database: Database,
    sync_events: String,
    failure_counters: String,
}

/// What became of a save.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum Saved {
    /// All is as it was given.
    All,
    /// Someone else was there first with at least one of them: read, decide and save again.
    Outrun,
}

/// One page of a longer list.
#[derive(Debug, Clone)]
pub struct Page<T> {
    /// What is on the page.
    pub results: Vec<T>,
    /// How many there are on all pages.
    pub total: u64,
}

impl Store {
    /// A database by its settings; `process` is the name that the server's log shows.
    ///
    /// It does not wait for the server. Fails where the settings name none that can be looked up.
    pub async fn open(settings: &MongoSettings, process: &str) -> Result<Self, StoreError> {
        let mut options = ClientOptions::parse(settings.mongo_uri.expose()).await?;
        options.app_name.get_or_insert_with(|| process.to_owned());
        options.server_selection_timeout.get_or_insert(SERVER_SELECTION);
        options.connect_timeout.get_or_insert(SERVER_SELECTION);
        options.heartbeat_freq.get_or_insert(HEARTBEAT);
        options.write_concern = Some(WriteConcern::builder().w(Acknowledgment::Majority).w_timeout(MAJORITY).build());
        let database = Client::with_options(options)?.database(&settings.mongo_db);
        Ok(Self {
            database,
            sync_events: settings.sync_event_collection.clone(),
            failure_counters: settings.failure_counter_collection.clone(),
        })
    }

    /// Makes what is missing of the indexes. Any number of processes may do so at once.
    ///
    /// Fails with the first error after all others were made.
    pub async fn ensure_indexes(&self) -> Result<(), StoreError> {
        let events = self.sync_events().ensure_indexes().await;
        let counters = self.failure_counters().ensure_indexes().await;
        let alerts = self.alerts().ensure_indexes().await;
        let silences = self.silences().ensure_index().await;
        events.and(counters).and(alerts).and(silences)
    }

    /// Makes the indexes as soon as the server answers, however long that takes. An index that cannot be
    /// made (a device has two counters, say) is named in the log: work goes on without it.
    pub async fn ensure_indexes_in_time(&self) {
        let mut backoff = Backoff::new(Duration::from_millis(200), Duration::from_secs(5));
        loop {
            match self.ensure_indexes().await {
                Ok(()) => return,
                Err(error @ StoreError::Index { .. }) => {
                    log::error!(error:% = error; "an index is missing");
                    return;
                }
                Err(error) if backoff.is_fresh() => log::warn!(error:% = error; "the indexes could not be made yet"),
                Err(_) => {}
            }
            tokio::time::sleep(backoff.next_wait()).await;
        }
    }

    /// Makes the indexes, and again what a person has removed of them, for ever.
    pub async fn keep_indexes(&self) {
        self.ensure_indexes_in_time().await;
        loop {
            tokio::time::sleep(INDEXES_EVERY).await;
            if let Err(error) = self.ensure_indexes().await {
                log::debug!(error:% = error; "the indexes could not be made again");
            }
        }
    }

    /// Whether the server answers now.
    pub async fn ping(&self) -> Result<(), StoreError> {
        self.database.run_command(doc! { "ping": 1 }).await?;
        Ok(())
    }

    /// The time by the server, which all processes share.
    pub async fn now(&self) -> Result<Timestamp, StoreError> {
        let hello = self.database.run_command(doc! { "hello": 1 }).await?;
        Ok(documents::reply::<Hello>("a reply to hello", hello)?.local_time.0)
    }

    /// Whether the server answers now, and soon. The question is asked by a task of its own: a
    /// driver's future must not be dropped half way.
    pub async fn answers(&self) -> bool {
        let store = self.clone();
        let ping = tokio::spawn(async move { store.ping().await });
        matches!(tokio::time::timeout(PING_PATIENCE, ping).await, Ok(Ok(Ok(()))))
    }

    /// The events.
    pub fn sync_events(&self) -> SyncEvents {
        SyncEvents::new(self.database.collection(&self.sync_events))
    }

    /// The counters.
    pub fn failure_counters(&self) -> FailureCounters {
        FailureCounters::new(self.database.clone(), self.database.collection(&self.failure_counters))
    }

    /// The alerts.
    pub fn alerts(&self) -> Alerts {
        Alerts::new(&self.database)
    }

    /// The silences.
    pub fn silences(&self) -> Silences {
        Silences::new(self)
    }

    /// The hours, added up.
    pub fn sync_hours(&self) -> SyncHours {
        SyncHours::new(self.database.collection(&self.sync_events), &self.database.collection("SyncHour"))
    }

    /// How many devices had which status, hour by hour.
    pub fn status_hours(&self) -> StatusHours {
        StatusHours::new(&self.database.collection("StatusHour"))
    }

    /// What is told once a week, and to whom it was.
    pub fn summaries(&self) -> Summaries {
        Summaries::new(&self.database.collection("Summary"))
    }

    /// How far the removal of old rows has come, and who is at it.
    pub fn retention(&self) -> Retention {
        Retention::new(&self.database.collection("Retention"))
    }

    /// The dead letters that are no longer in the queue.
    pub fn dead_letters(&self) -> DeadLetters {
        DeadLetters::new(&self.database.collection("DeadLetter"))
    }

    /// Removes the whole database: for tests, which have one each.
    pub async fn remove(self) -> Result<(), StoreError> {
        Ok(self.database.drop().await?)
    }
}

/// An index with the name that `MongoDB` itself would give it.
fn index(keys: bson::Document, options: IndexOptions) -> IndexModel {
    IndexModel::builder().keys(keys).options(options).build()
}

/// A 12-byte id in its BSON form.
fn object_id(bytes: [u8; 12]) -> bson::oid::ObjectId {
    bson::oid::ObjectId::from_bytes(bytes)
}

/// What the server says of itself.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Hello {
    local_time: documents::Moment,
}

type Raw = mongodb::Collection<RawDocumentBuf>;
