//! The store for events, counters and alerts: one repository per `MongoDB` collection.
//!
//! Writes are acknowledged by a majority. Each repository keeps its documents' shape private.

mod alerts;
mod dead_letters;
mod detached;
mod documents;
mod error;
mod failure_counters;
mod indexes;
mod labels;
mod lease;
mod retention;
mod rights;
mod silences;
mod sizes;
mod status_hours;
mod summaries;
mod sync_events;
mod sync_hours;
mod update;
mod wrong_uri;

use std::{sync::Arc, time::Duration};

pub use alerts::{AlertFilter, Alerts, HeldGroup, InhibitedCount, InhibitionFilter, VersionedIncident};
use bson::{doc, raw::RawDocumentBuf};
pub use dead_letters::DeadLetters;
pub use detached::{Undone, detached};
pub use error::StoreError;
pub use failure_counters::{CounterPage, FailureCounters, ListedCounter, Revision, VersionedCounter};
use mongodb::{
    Client, Database, IndexModel,
    options::{Acknowledgment, ClientOptions, IndexOptions, Tls, TlsOptions, WriteConcern},
};
pub use retention::{Progress, Retention};
pub use rights::least_role;
pub use silences::{SilenceReach, Silences};
pub use sizes::CollectionSize;
pub use status_hours::StatusHours;
pub use summaries::Summaries;
pub use sync_events::{AgedRow, Inserted, NewestRow, Step, SyncEvents};
pub use sync_hours::SyncHours;

use jiff::Timestamp;
use serde::Deserialize;

pub use crate::codec::StoredEvent;
use crate::{backoff::Backoff, process::Process, refusal_log::RefusalLog, settings::MongoSettings};

/// The timeout of server selection.
const SERVER_SELECTION: Duration = Duration::from_secs(5);

/// The timeout of the name server for a `mongodb+srv` URI.
const LOOKUP_TIMEOUT: Duration = Duration::from_secs(15);

/// The longest wait for one collection's indexes; the server continues after it.
const INDEX_TIMEOUT: Duration = Duration::from_mins(10);

/// The interval of the driver's checks of the servers: a new primary is found within it.
const HEARTBEAT: Duration = Duration::from_secs(1);

/// The time for a majority to have a write; after it the write counts as failed, and is retried.
const MAJORITY: Duration = Duration::from_secs(5);

/// The interval between checks of the indexes; a removed index is made again after that.
const INDEXES_INTERVAL: Duration = Duration::from_mins(1);

/// The timeout of a ping.
const PING_TIMEOUT: Duration = Duration::from_secs(1);

/// The timeout of a write that changes nothing.
const WRITE_TIMEOUT: Duration = Duration::from_secs(2);

/// The default database.
const DATABASE: &str = "pisync";

/// The database. Cheap to clone; clones share a pool of connections.
#[derive(Clone, Debug)]
pub struct Store {
    database: Database,
    sync_events: String,
    failure_counters: String,
    /// The driver's options, to find out why it finds no server.
    options: Arc<ClientOptions>,
}

/// The result of a save.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum Saved {
    /// All are saved.
    All,
    /// Another process changed at least one of them first: read, decide and save again.
    Conflict,
    /// The server will never accept at least one of them, which is named in the log: a retry does not help. The others
    /// are saved.
    Refused,
}

/// One page of a longer list.
#[derive(Debug, Clone)]
pub struct Page<T> {
    /// The items of the page.
    pub results: Vec<T>,
    /// The number of items on all pages.
    pub total: u64,
}

impl Store {
    /// Returns a database with these settings; `process` is the name in the server's log.
    ///
    /// It does not wait for the server. Fails if the settings name no server that can be looked up.
    pub async fn open(settings: &MongoSettings, process: &str) -> Result<Self, StoreError> {
        let uri = settings.mongo_uri.expose();
        let looked_up = tokio::time::timeout(LOOKUP_TIMEOUT, async { ClientOptions::parse(uri).await }).await;
        let mut options = looked_up.map_err(|_| StoreError::Unavailable("no answer of the name server".into()))??;
        options.app_name.get_or_insert_with(|| process.to_owned());
        options.server_selection_timeout.get_or_insert(SERVER_SELECTION);
        options.connect_timeout.get_or_insert(SERVER_SELECTION);
        options.heartbeat_freq.get_or_insert(HEARTBEAT);
        let concern = options.write_concern.get_or_insert_with(WriteConcern::default);
        concern.w = Some(Acknowledgment::Majority);
        concern.w_timeout.get_or_insert(MAJORITY);
        trust(&mut options, settings)?;
        let name = database_name(&options, settings)?;
        let given = Arc::new(options.clone());
        let database = Client::with_options(options).map_err(|error| misconfigured(&error))?.database(&name);
        Ok(Self {
            database,
            sync_events: settings.sync_event_collection.clone(),
            failure_counters: settings.failure_counter_collection.clone(),
            options: given,
        })
    }

    /// Makes the missing indexes. Any number of processes may do so at once.
    ///
    /// Fails with the first error after all others were made.
    pub async fn ensure_indexes(&self) -> Result<(), StoreError> {
        let events = self.sync_events().ensure_indexes().await;
        let counters = self.failure_counters().ensure_indexes().await;
        let alerts = self.alerts().ensure_indexes().await;
        let silences = self.silences().ensure_index().await;
        events.and(counters).and(alerts).and(silences)
    }

    /// Checks the rights of `process`, and makes the indexes, as soon as the server answers. It waits for as long as
    /// that takes. An index that cannot be made (for example, a device has two counters) is named in the log, and work
    /// goes on without it.
    ///
    /// Fails if only an operator can help: a wrong password, or a missing right.
    pub async fn ensure_indexes_in_time(&self, process: Process) -> Result<(), StoreError> {
        let mut backoff = Backoff::new(Duration::from_millis(200), Duration::from_secs(5));
        let log = RefusalLog::new("the indexes could not be made yet", "the indexes are ready", Duration::ZERO);
        let mut is_uri_examined = false;
        loop {
            let store = self.clone();
            let prepared = detached(INDEX_TIMEOUT, async move {
                store.check_rights(process).await?;
                store.ensure_indexes().await
            });
            match prepared.await.map_err(StoreError::from).and_then(|prepared| prepared) {
                Ok(()) => {
                    log.succeeded(0);
                    return Ok(());
                }
                Err(error @ StoreError::Index { .. }) => {
                    log::error!(error:% = error; "an index is missing");
                    return Ok(());
                }
                Err(error) if error.needs_an_operator() => return Err(error),
                Err(error) => {
                    log.refused("store", 0, 1, &error);
                    if !is_uri_examined && matches!(error, StoreError::Unavailable(_)) {
                        // Once: settings that match a reachable server stay valid.
                        is_uri_examined = self.wrong_uri().await?;
                    }
                }
            }
            tokio::time::sleep(backoff.next_wait()).await;
        }
    }

    /// Makes the indexes, and makes them again if a person removed them, for ever. A problem that only an operator can
    /// solve is named in the log. Reports are still accepted, and wait in the queue.
    pub async fn keep_indexes(&self, process: Process) {
        if let Err(error) = self.ensure_indexes_in_time(process).await {
            log::error!(error:% = error; "reads are unavailable until this is fixed and the process is restarted");
            return;
        }
        loop {
            tokio::time::sleep(INDEXES_INTERVAL).await;
            if let Err(error) = self.ensure_indexes().await {
                log::debug!(error:% = error; "the indexes could not be made again");
            }
        }
    }

    /// Returns the name of the database.
    pub fn database_name(&self) -> &str {
        self.database.name()
    }

    /// Fails unless the server answers now.
    pub async fn ping(&self) -> Result<(), StoreError> {
        self.database.run_command(doc! { "ping": 1 }).await?;
        Ok(())
    }

    /// Returns the time by the server, which all processes share.
    pub async fn now(&self) -> Result<Timestamp, StoreError> {
        let hello = self.database.run_command(doc! { "hello": 1 }).await?;
        Ok(documents::reply::<Hello>("a reply to hello", hello)?.local_time.0)
    }

    /// Returns whether the server answers within a second.
    pub async fn answers(&self) -> bool {
        let store = self.clone();
        matches!(detached(PING_TIMEOUT, async move { store.ping().await }).await, Ok(Ok(())))
    }

    /// Fails unless the server accepts a write of `process` within two seconds: one that changes nothing.
    ///
    /// `ingest-api` and `alerter` write incidents, and `queue-worker` counters.
    pub async fn takes_writes(&self, process: Process) -> Result<(), StoreError> {
        let (collection, nothing) = match process {
            Process::Worker => (self.failure_counters.clone(), doc! { "deviceId": "" }),
            Process::Ingest | Process::Alerter => ("Alert".to_owned(), doc! { "fingerprint": "" }),
        };
        let update = doc! {
            "update": collection,
            "updates": [{ "q": nothing, "u": { "$set": { "ready": true } } }],
            "writeConcern": { "w": "majority", "wtimeout": i64::try_from(WRITE_TIMEOUT.as_millis()).unwrap_or(i64::MAX) },
        };
        let database = self.database.clone();
        detached(WRITE_TIMEOUT, async move { update::succeeds(&database, update).await }).await?
    }

    /// Returns the events.
    pub fn sync_events(&self) -> SyncEvents {
        SyncEvents::new(self.database.collection(&self.sync_events))
    }

    /// Returns the counters.
    pub fn failure_counters(&self) -> FailureCounters {
        FailureCounters::new(self.database.clone(), self.database.collection(&self.failure_counters))
    }

    /// Returns the alerts.
    pub fn alerts(&self) -> Alerts {
        Alerts::new(&self.database)
    }

    /// Returns the silences.
    pub fn silences(&self) -> Silences {
        Silences::new(self)
    }

    /// Returns the sums of hours.
    pub fn sync_hours(&self) -> SyncHours {
        SyncHours::new(self.database.collection(&self.sync_events), &self.database.collection("SyncHour"))
    }

    /// Returns the status counts by hour.
    pub fn status_hours(&self) -> StatusHours {
        StatusHours::new(&self.database.collection("StatusHour"))
    }

    /// Returns the weekly summaries and their deliveries.
    pub fn summaries(&self) -> Summaries {
        Summaries::new(&self.database.collection("Summary"))
    }

    /// Returns the progress and the lease of the removal of old rows.
    pub fn retention(&self) -> Retention {
        Retention::new(&self.database.collection("Retention"))
    }

    /// Returns the dead letters that are no longer in the queue.
    pub fn dead_letters(&self) -> DeadLetters {
        DeadLetters::new(&self.database.collection("DeadLetter"))
    }

    /// Removes the whole database: for tests, which have one each.
    #[cfg(feature = "testing")]
    pub async fn remove(self) -> Result<(), StoreError> {
        Ok(self.database.drop().await?)
    }
}

/// Makes the driver trust only the CA file; a CA file switches TLS on.
fn trust(options: &mut ClientOptions, settings: &MongoSettings) -> Result<(), StoreError> {
    let Some(ca) = &settings.mongo_ca_file else { return Ok(()) };
    let path = ca.path().to_owned();
    match options.tls.get_or_insert_with(|| Tls::Enabled(TlsOptions::default())) {
        Tls::Enabled(tls) => tls.ca_file_path = Some(path),
        Tls::Disabled => {
            return Err(StoreError::Misconfigured(
                "there is a CA file (--mongo-ca-file, PISYNC_MONGO_CA_FILE) and the URI says tls=false".into(),
            ));
        }
    }
    Ok(())
}

/// Returns the database of its own setting, else of the URI, else the default.
fn database_name(options: &ClientOptions, settings: &MongoSettings) -> Result<String, StoreError> {
    if let Some(name) = &settings.mongo_db {
        return Ok(name.clone());
    }
    match options.default_database.as_deref() {
        // These names say where the user is defined, not where events belong.
        Some(name @ ("admin" | "config" | "local")) => Err(StoreError::Misconfigured(format!(
            "the URI names the database {name}, which is MongoDB's own: say where users are by ?authSource={name}, \
             and where events go by --mongo-db (PISYNC_MONGO_DB)"
        ))),
        name => Ok(name.unwrap_or(DATABASE).to_owned()),
    }
}

fn misconfigured(error: &mongodb::error::Error) -> StoreError {
    match StoreError::from(error.clone()) {
        StoreError::Unavailable(_) => StoreError::Misconfigured("the driver cannot make a client of it".into()),
        StoreError::Refused { name, .. } => StoreError::Misconfigured(name),
        other => other,
    }
}

/// Returns an index with `MongoDB`'s default name.
fn index(keys: bson::Document, options: IndexOptions) -> IndexModel {
    IndexModel::builder().keys(keys).options(options).build()
}

/// Returns a 12-byte id in its BSON form.
fn object_id(bytes: [u8; 12]) -> bson::oid::ObjectId {
    bson::oid::ObjectId::from_bytes(bytes)
}

/// The server's description of itself.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Hello {
    local_time: documents::Moment,
}

type Raw = mongodb::Collection<RawDocumentBuf>;
