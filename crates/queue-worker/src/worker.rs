//! The loop of a worker: it sleeps and stops; [`Worker::step`] decides.

use std::{sync::Arc, time::Duration};

use pisync_core::{
    backoff::Backoff,
    models::{EventId, SyncEvent},
    queue::{Batch, BatchId, Claim, Fenced, Hints, Partition, Queue, QueueError, Reason, Wake},
    store::{Store, StoreError},
};
use tokio::{
    task::{JoinHandle, JoinSet},
    time::{sleep, timeout},
};
use tokio_util::sync::CancellationToken;

use crate::{batch, config::WorkSettings, keeper::Keeper};

/// How long a worker waits for a notice before it looks by itself: for batches whose worker died,
/// and for notices that were lost.
const LOOK_AROUND: Duration = Duration::from_millis(500);

/// How long one step on the store may take before it is tried again.
const STORE_PATIENCE: Duration = Duration::from_mins(1);

/// How long the store may still take once the worker is to stop.
const STOP_PATIENCE: Duration = Duration::from_secs(5);

/// How often a claim whose answer was lost is asked again at once.
const CLAIM_TRIES: u32 = 3;

/// Works batches, one at a time for each caller of [`Worker::step`].
#[derive(Debug)]
pub struct Worker {
    queue: Queue,
    hints: Hints,
    store: Store,
    settings: WorkSettings,
    owner: String,
}

/// What a step found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// A batch was worked on.
    Worked,
    /// Nothing was to be had.
    Idle,
}

/// Why a batch was not finished.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Unfinished {
    /// The worker is to stop.
    Stopping,
    /// Another worker has the batch now.
    LeaseLost,
}

impl Worker {
    /// A worker with a name of its own.
    pub fn new(queue: Queue, store: Store, settings: WorkSettings) -> Self {
        let owner = format!("{}-{:08x}", std::process::id(), fastrand::u32(..));
        Self { hints: Hints::new(queue.clone()), queue, store, settings, owner }
    }

    /// The name under which the worker claims.
    pub fn owner(&self) -> &str {
        &self.owner
    }

    /// Claims a batch of `only` that partition, or of the first that has one, and works on it to
    /// its end, however long the store is away.
    ///
    /// Fails when Redis does not answer; the batch, if one was claimed, comes again.
    pub async fn step(&self, only: Option<Partition>, stop: &CancellationToken) -> Result<Outcome, QueueError> {
        // Each step begins elsewhere, so that no partition is always first.
        let count = self.queue.partitions().len();
        let turned = self.queue.partitions().chain(self.queue.partitions()).skip(fastrand::usize(..count)).take(count);
        for partition in turned.filter(|partition| only.is_none_or(|only| only == *partition)) {
            if let Claim::Batch(batch) = self.claim(partition).await? {
                self.work(batch, stop).await?;
                return Ok(Outcome::Worked);
            }
        }
        Ok(Outcome::Idle)
    }

    async fn claim(&self, partition: Partition) -> Result<Claim, QueueError> {
        let (batch, max) = (BatchId::new(), usize::from(self.settings.batch));
        for _ in 1..CLAIM_TRIES {
            match self.queue.claim(partition, &batch, &self.owner, max, self.settings.lease()).await {
                Err(QueueError::Unavailable(_)) => {}
                found => return found,
            }
        }
        self.queue.claim(partition, &batch, &self.owner, max, self.settings.lease()).await
    }

    async fn work(&self, batch: Batch, stop: &CancellationToken) -> Result<(), QueueError> {
        let lease = batch.lease.clone();
        let keeper = Keeper::hold(self.queue.clone(), lease.clone(), self.settings.lease());
        let size = batch.messages.len();
        let fenced = match self.effect(batch, keeper.lost(), stop).await {
            Ok(dead) => self.queue.ack(&lease, &dead).await?,
            Err(Unfinished::Stopping) => self.queue.release(&lease).await?,
            Err(Unfinished::LeaseLost) => Fenced::Lost,
        };
        if fenced == Fenced::Lost {
            log::warn!(batch:% = lease.batch, epoch = lease.epoch; "batch was taken over");
        } else {
            log::debug!(batch:% = lease.batch, partition = lease.partition.number(), size = size; "batch done");
        }
        Ok(())
    }

    /// Rows, counters, hints; answers with the messages to bury.
    async fn effect(
        &self,
        batch: Batch,
        lost: &CancellationToken,
        stop: &CancellationToken,
    ) -> Result<Vec<pisync_core::queue::DeadLetter>, Unfinished> {
        let batch::Contents { events, mut dead } = batch::read(&batch);
        let (places, rows): (Vec<usize>, Vec<(EventId, SyncEvent)>) =
            events.into_iter().map(|(place, id, event)| (place, (id, event))).unzip();
        let rows = Arc::new(rows);
        let (rested, refused) = self
            .persist(lost, stop, |store| {
                let rows = rows.clone();
                tokio::spawn(async move { batch::write_rows(&store, &rows).await })
            })
            .await?;
        for (index, code) in refused {
            dead.push(batch::bury(&batch, places[index], Reason::Refused, format!("mongodb error code {code}")));
        }
        let (rested, threshold) = (Arc::new(rested), self.settings.threshold);
        let crossed = self
            .persist(lost, stop, |store| {
                let rested = rested.clone();
                tokio::spawn(async move { batch::keep_counters(&store, &rested, threshold).await })
            })
            .await?;
        let crossed: Vec<_> = crossed.into_iter().collect();
        if let Err(error) = self.hints.leave(&crossed).await {
            log::debug!(error:% = error; "no hints left: the alerters look by themselves");
        }
        Ok(dead)
    }

    /// Does one step on the store until it is done, for hours if need be. The lease is kept
    /// meanwhile, and the batch's attempts do not rise: `MongoDB` being away is not its fault.
    async fn persist<T>(
        &self,
        lost: &CancellationToken,
        stop: &CancellationToken,
        action: impl Fn(Store) -> JoinHandle<Result<T, StoreError>>,
    ) -> Result<T, Unfinished> {
        let mut backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(5));
        loop {
            // Spawned, since a driver's future must not be dropped half way.
            let outcome = tokio::select! {
                outcome = timeout(STORE_PATIENCE, action(self.store.clone())) => outcome,
                () = lost.cancelled() => return Err(Unfinished::LeaseLost),
                () = stopped_for(stop, STOP_PATIENCE) => return Err(Unfinished::Stopping),
            };
            let error = match outcome {
                Ok(Ok(Ok(done))) => return Ok(done),
                Ok(Ok(Err(error))) => error.to_string(),
                Ok(Err(panic)) => panic.to_string(),
                Err(_) => format!("no answer within {} s", STORE_PATIENCE.as_secs()),
            };
            if backoff.is_fresh() {
                log::warn!(error = error.as_str(); "the store failed, trying on");
            }
            tokio::select! {
                () = sleep(backoff.next_wait()) => {}
                () = lost.cancelled() => return Err(Unfinished::LeaseLost),
                () = stop.cancelled() => return Err(Unfinished::Stopping),
            }
        }
    }
}

/// Ends when the worker has been stopping for this long.
async fn stopped_for(stop: &CancellationToken, patience: Duration) {
    stop.cancelled().await;
    sleep(patience).await;
}

/// Works on several batches at the same time until `stop`; returns when all are finished or given
/// back.
pub async fn run(worker: Arc<Worker>, stop: CancellationToken) {
    let wake = worker.queue.wake();
    let lanes: JoinSet<_> =
        (0..worker.settings.lanes).map(|_| lane(worker.clone(), wake.listener(), stop.clone())).collect();
    lanes.join_all().await;
}

async fn lane(worker: Arc<Worker>, mut wake: Wake, stop: CancellationToken) {
    let mut backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(2));
    let mut only = None;
    while !stop.is_cancelled() {
        if only.is_none() {
            wake.clear();
        }
        let pause = match worker.step(only, &stop).await {
            Ok(Outcome::Worked) => {
                backoff.reset();
                only = None;
                continue;
            }
            Ok(Outcome::Idle) => LOOK_AROUND.mul_f64(0.75 + fastrand::f64() / 2.0),
            Err(error) => {
                if backoff.is_fresh() {
                    log::warn!(error:% = error; "the queue failed, trying on");
                }
                let pause = backoff.next_wait();
                tokio::select! {
                    () = sleep(pause) => {}
                    () = stop.cancelled() => {}
                }
                continue;
            }
        };
        tokio::select! {
            partition = wake.wait(pause) => only = partition,
            () = stop.cancelled() => {}
        }
    }
}
