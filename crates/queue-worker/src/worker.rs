//! The loop of a worker: it sleeps and stops; [`Worker::step`] decides.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use pisync_core::{
    backoff::Backoff,
    models::Reason,
    presence::LastSeen,
    queue::{BatchId, Claim, ClaimedBatch, Hints, Lease, LeaseState, Partition, Queue, QueueError, Wake},
    refusal_log::RefusalLog,
    store::{Store, StoreError, detached},
};
use tokio::{task::JoinSet, time::sleep};
use tokio_util::sync::CancellationToken;

use crate::{
    away::Away,
    batch::{self, WrittenEvent},
    batch_summary::{hours, receipts},
    config::WorkSettings,
    counters,
    decode::{self, Contents, UnknownVersion},
    lease_keeper::LeaseKeeper,
    left_alone::LeftAlone,
    metrics::{Effect, Metrics},
    repeats::{self, Again, Repeats},
};

/// The longest wait for a wake-up before a worker polls: for batches of dead workers and for lost wake-ups.
const POLL_INTERVAL: Duration = Duration::from_secs(1);

/// The delay after the end of a lease before its batch is claimed, so that the lease has surely ended.
const LEASE_OVER: Duration = Duration::from_millis(5);

/// The timeout of one step on the store; the step is then tried again.
const STORE_TIMEOUT: Duration = Duration::from_mins(1);

/// The time that the store still gets once the worker is stopping.
const STOP_TIMEOUT: Duration = Duration::from_secs(5);

/// The maximum number of attempts to claim if the answer is lost.
const CLAIM_TRIES: u32 = 3;

/// The time limit of these attempts: a server that hangs is left alone.
const CLAIM_AGAIN: Duration = Duration::from_secs(1);

/// The time without an error after which a trouble is over.
const QUIET: Duration = Duration::from_secs(3);

/// Processes batches, one at a time for each caller of [`Worker::step`].
#[derive(Debug)]
pub struct Worker {
    queue: Queue,
    hints: Hints,
    seen: LastSeen,
    store: Store,
    settings: WorkSettings,
    owner: String,
    /// The index of the partition that is asked first.
    turn: AtomicUsize,
    away: Away,
    queue_log: RefusalLog,
    store_log: RefusalLog,
    note_log: RefusalLog,
    left_alone: LeftAlone,
    metrics: Arc<Metrics>,
}

/// The result of a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StepOutcome {
    /// A batch was processed.
    Worked,
    /// No batch is available. Holds the time until the next lease ends, if one is held.
    Idle(Option<Duration>),
}

/// The reason why a batch was not finished.
#[derive(Debug, Clone)]
enum Unfinished {
    /// The worker is stopping.
    Stopping,
    /// Another worker has the batch now.
    LeaseLost,
    /// A message is of an unknown version.
    Unknown(UnknownVersion),
    /// Redis did not record the last-seen times.
    NotNoted(QueueError),
}

impl Worker {
    /// Returns a worker with a name of its own.
    pub fn new(queue: Queue, store: Store, settings: WorkSettings) -> Self {
        let owner = format!("{}-{:08x}", std::process::id(), fastrand::u32(..));
        let (hints, seen) = (Hints::new(queue.clone()), LastSeen::new(queue.clone()));
        // Workers that start together begin at different partitions.
        let turn = AtomicUsize::new(fastrand::usize(..queue.partitions().len()));
        let queue_log = RefusalLog::new("the queue failed, retrying", "the queue has recovered", QUIET);
        let store_log = RefusalLog::new("the store failed, retrying", "the store has recovered", QUIET);
        let note_log = RefusalLog::new("last-seen times are not recorded", "last-seen times are recorded again", QUIET);
        Self {
            queue,
            hints,
            seen,
            store,
            settings,
            owner,
            turn,
            away: Away::default(),
            left_alone: LeftAlone::default(),
            queue_log,
            store_log,
            note_log,
            metrics: Arc::new(Metrics::new()),
        }
    }

    /// Returns the name under which the worker claims.
    pub fn owner(&self) -> &str {
        &self.owner
    }

    /// Returns the metrics of the worker.
    pub fn metrics(&self) -> &Arc<Metrics> {
        &self.metrics
    }

    /// Claims a batch, if there is one, and processes it to its end, however long the store is away.
    ///
    /// The batch is of the partition `only`, or of the first partition that has one.
    ///
    /// Fails if Redis does not answer; a claimed batch comes again.
    pub async fn step(&self, only: Option<Partition>, stop: &CancellationToken) -> Result<StepOutcome, QueueError> {
        // Round robin, after the partition of the last batch. With a random start, one partition in a hundred
        // would wait for several rounds.
        let count = self.queue.partitions().len();
        let first = self.turn.load(Ordering::Relaxed);
        let turned = self.queue.partitions().chain(self.queue.partitions()).skip(first).take(count);
        let (mut soonest, mut asked) = (None, 0);
        let sooner = |soonest: Option<Duration>, left| Some(soonest.map_or(left, |soonest| soonest.min(left)));
        for partition in turned.filter(|partition| only.is_none_or(|only| only == *partition)) {
            if self.away.contains(partition) {
                continue;
            }
            asked += 1;
            if let Some(left) = self.left_alone.left(partition) {
                soonest = sooner(soonest, left);
                continue;
            }
            let claimed = self.claim(partition).await;
            match self.noted(partition, claimed)? {
                Claim::Batch(batch) => {
                    self.turn.store((usize::from(partition.number()) + 1) % count, Ordering::Relaxed);
                    let worked = self.work(batch, stop).await;
                    self.noted(partition, worked)?;
                    return Ok(StepOutcome::Worked);
                }
                Claim::Busy { left } => soonest = sooner(soonest, left),
                Claim::Empty | Claim::Paused => {}
            }
        }
        if asked == 0 && only.is_none() {
            return Err(QueueError::Unavailable("no partition answers".into()));
        }
        Ok(StepOutcome::Idle(soonest))
    }

    /// Skips a partition whose server fails until it answers, so that it delays no other.
    fn noted<T>(&self, partition: Partition, outcome: Result<T, QueueError>) -> Result<T, QueueError> {
        match &outcome {
            Ok(_) => self.queue_log.succeeded(partition.number()),
            Err(error) => {
                self.queue_log.refused(error.cause(), partition.number(), 1, error);
                self.away.add(partition);
            }
        }
        outcome
    }

    async fn claim(&self, partition: Partition) -> Result<Claim, QueueError> {
        let (batch, max, began) = (BatchId::new(), usize::from(self.settings.batch), Instant::now());
        for _ in 1..CLAIM_TRIES {
            match self.queue.claim(partition, &batch, &self.owner, max, self.settings.lease()).await {
                Err(QueueError::Unavailable(_)) if began.elapsed() < CLAIM_AGAIN => {}
                found => return found,
            }
        }
        self.queue.claim(partition, &batch, &self.owner, max, self.settings.lease()).await
    }

    async fn work(&self, batch: ClaimedBatch, stop: &CancellationToken) -> Result<(), QueueError> {
        let start = Instant::now();
        if batch.attempt > 1 {
            self.metrics.redelivered(batch.messages.len());
        }
        self.settings.crash.pass("after_claim");
        let keeper = LeaseKeeper::hold(self.queue.clone(), batch.lease.clone(), self.settings.lease());
        let fenced = match self.effect(&batch, keeper.lost(), stop).await {
            Ok(effect) => {
                let fenced = self.queue.ack(&batch.lease, &effect.dead).await?;
                self.left_alone.forget(batch.lease.partition);
                if fenced != LeaseState::Lost {
                    self.metrics.finished(batch.messages.len(), &effect, start.elapsed());
                }
                fenced
            }
            Err(Unfinished::Unknown(UnknownVersion(version))) => {
                self.metrics.unknown_versions.inc();
                self.left_alone.leave(batch.lease.partition, version);
                self.queue.release(&batch.lease).await?
            }
            Err(Unfinished::Stopping) => self.queue.release(&batch.lease).await?,
            Err(Unfinished::LeaseLost) => LeaseState::Lost,
            // As with an ack that fails: the lease ends, the batch comes again, and the last-seen times with
            // it.
            Err(Unfinished::NotNoted(error)) => return Err(error),
        };
        self.settings.crash.pass("after_ack");
        let Lease { partition, batch: name, epoch } = &batch.lease;
        if fenced == LeaseState::Lost {
            log::warn!(batch:% = name, epoch = epoch; "batch was taken over");
        } else {
            log::debug!(batch:% = name, partition = partition.number(), size = batch.messages.len(); "batch done");
        }
        Ok(())
    }

    /// Writes rows, then counters and last-seen times, then hints. Returns the result for the metrics.
    ///
    /// Every step is idempotent, also across workers: row ids are derived, and if an event was counted before,
    /// its counter is made from the rows.
    async fn effect(
        &self,
        batch: &ClaimedBatch,
        lost: &CancellationToken,
        stop: &CancellationToken,
    ) -> Result<Effect, Unfinished> {
        let crash = &self.settings.crash;
        let contents = decode::read(&self.queue, batch, crash).await.map_err(Unfinished::Unknown)?;
        let Contents { rows, places, again, mut dead, .. } = contents;
        crash.pass("before_insert");

        let rows = Arc::new(rows);
        let insert = |store| {
            let rows = rows.clone();
            async move { batch::write_rows(&store, &rows).await }
        };
        let (rested, refused) = self.persist(lost, stop, insert).await?;
        for (index, code) in refused {
            let error = format!("mongodb refused the document: code {code}");
            dead.push(decode::bury(batch, places[index], Reason::Refused, error));
        }
        let repeats = self.repeats(&rested, again, lost, stop).await?;
        crash.pass("after_insert_before_counter");
        let mut effect = Effect { dead, ..Effect::default() };
        effect.stored = rested.iter().filter(|event| event.is_new).count();
        effect.clock_suspects = rows.iter().filter(|(_, event)| event.time.device_timestamp.is_some()).count();
        effect.clock_repeats = repeats.values().map(Vec::len).sum();

        let (rested, repeats, threshold) = (Arc::new(rested), Arc::new(repeats), self.settings.threshold);
        let count = |store| {
            let (rested, repeats) = (rested.clone(), repeats.clone());
            async move { counters::keep_counters(&store, &rested, &repeats, threshold).await }
        };
        // Last-seen times need only the rows, and take no longer than the counters.
        let (counted, noted) = tokio::join!(self.persist(lost, stop, count), self.note(batch, &rested));
        let counted = counted?;
        (effect.recounts, effect.late) = (counted.recounts, counted.late);
        let crossed: Vec<_> = counted.crossed.into_iter().collect();
        effect.not_noted = noted.map_err(Unfinished::NotNoted)?;
        crash.pass("after_counter_before_ack");

        if let Err(error) = self.hints.leave(&crossed).await {
            log::debug!(error:% = error; "hints not left: alerters find the devices at their next tick");
        }
        Ok(effect)
    }

    /// Returns the repeats of a batch. Most batches have none and need no query.
    async fn repeats(
        &self,
        rested: &[WrittenEvent],
        again: Vec<Again>,
        lost: &CancellationToken,
        stop: &CancellationToken,
    ) -> Result<Repeats, Unfinished> {
        let asked = Arc::new(repeats::asked(rested, again));
        if asked.is_empty() {
            return Ok(Repeats::new());
        }
        let confirm = |store| {
            let asked = asked.clone();
            async move { repeats::confirmed(&store, &asked).await }
        };
        self.persist(lost, stop, confirm).await
    }

    /// Records the last-seen times of the devices and the hours that got new rows. Returns the number of
    /// devices that were not recorded.
    ///
    /// It runs after the rows are stored, so that a sum computed meanwhile is computed again. It runs before
    /// the ack, so that it happens in the end, even if a worker dies.
    async fn note(&self, batch: &ClaimedBatch, rested: &[WrittenEvent]) -> Result<usize, QueueError> {
        let seen: Vec<_> = receipts(rested).into_iter().map(|(device, receipt)| (device, receipt.last_at)).collect();
        if seen.is_empty() {
            return Ok(0);
        }
        let most = self.settings.max_devices.get().div_ceil(self.queue.partitions().len() as u64);
        let place = batch.lease.partition.number();
        match self.seen.note(batch.lease.partition, &seen, &hours(rested), most).await {
            // Another attempt changes nothing, and the reports must not wait for last-seen times.
            Err(error @ (QueueError::Refused(_) | QueueError::Denied(_))) => {
                self.note_log.refused(error.cause(), place, seen.len() as u64, &error);
                Ok(seen.len())
            }
            noted => noted.inspect(|_| self.note_log.succeeded(place)),
        }
    }

    /// Runs a step on the store until it succeeds, for hours if need be. The lease is kept meanwhile, and the
    /// batch's attempts do not rise: it is not to blame if `MongoDB` is away.
    async fn persist<T: Send + 'static, F>(
        &self,
        lost: &CancellationToken,
        stop: &CancellationToken,
        action: impl Fn(Store) -> F,
    ) -> Result<T, Unfinished>
    where
        F: Future<Output = Result<T, StoreError>> + Send + 'static,
    {
        let mut backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(5));
        loop {
            let outcome = tokio::select! {
                outcome = detached(STORE_TIMEOUT, action(self.store.clone())) => outcome,
                () = lost.cancelled() => return Err(Unfinished::LeaseLost),
                () = stopped_for(stop, STOP_TIMEOUT) => return Err(Unfinished::Stopping),
            };
            match outcome.map_err(StoreError::from).and_then(|done| done) {
                Ok(done) => {
                    self.store_log.succeeded(0);
                    return Ok(done);
                }
                Err(error) => self.store_log.refused("store", 0, 1, &error),
            }
            tokio::select! {
                () = sleep(backoff.next_wait()) => {}
                () = lost.cancelled() => return Err(Unfinished::LeaseLost),
                () = stop.cancelled() => return Err(Unfinished::Stopping),
            }
        }
    }
}

/// Returns once the worker has been stopping for `patience`.
async fn stopped_for(stop: &CancellationToken, patience: Duration) {
    stop.cancelled().await;
    sleep(patience).await;
}

/// Processes several batches at the same time until `stop`. Returns when all are finished or released.
pub async fn run(worker: Arc<Worker>, stop: CancellationToken) {
    let wake = worker.queue.wake();
    let lanes: JoinSet<_> =
        (0..worker.settings.lanes).map(|_| lane(worker.clone(), wake.listener(), stop.clone())).collect();
    tokio::select! {
        _ = lanes.join_all() => {}
        () = worker.away.watch(&worker.queue) => {}
    }
}

async fn lane(worker: Arc<Worker>, mut wake: Wake, stop: CancellationToken) {
    let mut backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(2));
    let mut only = None;
    while !stop.is_cancelled() {
        if only.is_none() {
            wake.clear();
        }
        let longest = match worker.step(only, &stop).await {
            Ok(StepOutcome::Worked) => {
                backoff.reset();
                only = None;
                continue;
            }
            Ok(StepOutcome::Idle(soonest)) => {
                let look_around = POLL_INTERVAL.mul_f64(fastrand::f64().mul_add(0.5, 0.75));
                soonest.map_or(look_around, |soonest| look_around.min(soonest + LEASE_OVER))
            }
            Err(_) => {
                only = None;
                tokio::select! {
                    () = sleep(backoff.next_wait()) => {}
                    () = stop.cancelled() => {}
                }
                continue;
            }
        };
        tokio::select! {
            partition = wake.wait(longest) => only = partition,
            () = stop.cancelled() => {}
        }
    }
}
