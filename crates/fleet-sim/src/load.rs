//! `fleet-sim load`: stores the events of a fleet in `MongoDB`, without API and queue. Its rate is the maximum of the
//! server with these documents and indexes.

use std::{collections::HashMap, time::Duration};

use anyhow::{Context, ensure};
use jiff::Timestamp;
use pisync_core::{
    models::{DeviceId, EventId, Observation, SyncEvent, recount},
    store::{Inserted, Revision, Saved, Store, VersionedCounter},
};
use serde::Serialize;
use tokio::{task::JoinSet, time::Instant};

use crate::{
    config::{Counters, LoadSettings},
    fleet::Fleet,
    report::{self, Rows},
};

/// The number of inserts of each task that are built before the clock starts: building events must not count as the
/// server's time.
const AHEAD: usize = 50;

/// The number of counters in one save, if they come last.
const SAVE: usize = 1_000;

type Event = (EventId, SyncEvent);

/// The closing figures.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
struct Loaded {
    rows: u64,
    seconds: f64,
    rows_per_second: f64,
}

/// Every n-th device of the fleet, with its counter and the rows since its last good sync.
struct Share {
    places: Box<dyn Iterator<Item = (u32, u32)> + Send>,
    counters: HashMap<DeviceId, (VersionedCounter, Vec<Observation>)>,
    ready: Vec<Vec<Event>>,
}

/// Stores all reports of the fleet, round by round, and prints the figures.
///
/// Fails if rows or counters of it exist already.
pub async fn run(settings: LoadSettings) -> anyhow::Result<bool> {
    let fleet = Fleet::new(&settings.fleet, Timestamp::now());
    let (batch, is_each) = (usize::try_from(settings.batch)?, settings.counters == Counters::Each);
    ensure!(
        !is_each || fleet.devices() / settings.tasks >= settings.batch,
        "a counter for each row needs at least --batch times --tasks devices"
    );
    let store = Store::open(&settings.mongo, "fleet-sim").await.context("opening the store")?;
    store.ensure_indexes().await.context("making the indexes")?;
    let mut shares: Vec<_> = (0..settings.tasks).map(|number| Share::new(&fleet, number, settings.tasks)).collect();
    let mut spent = Duration::ZERO;
    loop {
        for share in &mut shares {
            share.make_ready(&fleet, batch)?;
        }
        if shares.iter().all(|share| share.ready.is_empty()) {
            break;
        }
        let started = Instant::now();
        let running: JoinSet<_> =
            shares.into_iter().map(|share| share.store(store.clone(), settings.counters)).collect();
        shares = running.join_all().await.into_iter().collect::<Result<_, _>>()?;
        spent += started.elapsed();
    }
    if settings.counters == Counters::Last {
        for share in shares {
            save(&store, share.counters.into_values().map(|(kept, _)| kept).collect()).await?;
        }
    }
    let rows = u64::from(fleet.devices()) * u64::from(fleet.rounds());
    let loaded = Loaded::new(rows, spent);
    report::print(settings.json, &loaded, loaded.rows())?;
    Ok(true)
}

impl Share {
    fn new(fleet: &Fleet, number: u32, of: u32) -> Self {
        let (devices, step) = (fleet.devices(), usize::try_from(of).unwrap_or(usize::MAX));
        let round = move |turn| (number..devices).step_by(step).map(move |device| (device, turn));
        let places = Box::new((0..fleet.rounds()).flat_map(round));
        Self { places, counters: HashMap::new(), ready: Vec::new() }
    }

    fn make_ready(&mut self, fleet: &Fleet, batch: usize) -> anyhow::Result<()> {
        for _ in 0..AHEAD {
            let event = |(device, turn)| fleet.event(device, turn).map(|event| (event.id(), event));
            let events: Vec<_> = self.places.by_ref().take(batch).map(event).collect::<Result<_, _>>()?;
            if events.is_empty() {
                break;
            }
            self.ready.push(events);
        }
        Ok(())
    }

    async fn store(mut self, store: Store, counters: Counters) -> anyhow::Result<Self> {
        for events in std::mem::take(&mut self.ready) {
            let outcome = store.sync_events().insert(&events).await.context("inserting")?;
            ensure!(outcome.iter().all(|row| *row == Inserted::New), "some of the rows exist already");
            if counters == Counters::None {
                continue;
            }
            let changed = events.iter().map(|event| self.count(event)).collect();
            if counters == Counters::Each {
                for saved in save(&store, changed).await? {
                    if let Some((kept, _)) = self.counters.get_mut(&saved.counter.device_id) {
                        *kept = saved;
                    }
                }
            }
        }
        Ok(self)
    }

    /// Returns the counter of the event's device after the event.
    fn count(&mut self, (_, event): &Event) -> VersionedCounter {
        let (kept, tail) = self.counters.entry(event.device_id.clone()).or_insert_with(|| {
            let none = VersionedCounter::none(event.device_id.clone());
            (none, Vec::new())
        });
        if !event.failed() {
            tail.clear();
        }
        tail.push(Observation::from(event));
        kept.counter = recount(event.device_id.clone(), tail.clone());
        kept.clone()
    }
}

/// Saves counters that nothing else writes. Returns them with their next revision, which is therefore known without a
/// read.
async fn save(store: &Store, counters: Vec<VersionedCounter>) -> anyhow::Result<Vec<VersionedCounter>> {
    for part in counters.chunks(SAVE) {
        let part: Vec<_> = part.iter().map(|kept| (kept.counter.clone(), kept.revision)).collect();
        let saved = store.failure_counters().save(&part, &HashMap::new()).await.context("saving counters")?;
        ensure!(saved == Saved::All, "some of the counters exist already");
    }
    let next = |revision| match revision {
        Revision::Unset => Revision::At(1),
        Revision::At(revision) => Revision::At(revision + 1),
        Revision::Unreadable => Revision::Unreadable,
    };
    Ok(counters.into_iter().map(|kept| VersionedCounter { revision: next(kept.revision), ..kept }).collect())
}

impl Loaded {
    #[expect(clippy::cast_precision_loss, reason = "counts are below 2^53")]
    fn new(rows: u64, spent: Duration) -> Self {
        let seconds = spent.as_secs_f64();
        Self { rows, seconds, rows_per_second: rows as f64 / seconds }
    }

    fn rows(self) -> Rows {
        let mut rows = Rows::default();
        rows.add("rows", self.rows)
            .add("time", format!("{:.2} s", self.seconds))
            .add("rows per second", format!("{:.0}", self.rows_per_second));
        rows
    }
}
