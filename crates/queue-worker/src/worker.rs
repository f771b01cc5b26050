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
    queue::{Batch, BatchId, Claim, Hints, Lease, LeaseState, Partition, Queue, QueueError, Wake},
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

/// How long a worker waits for a notice before it looks by itself: for batches whose worker died,
/// and for notices that were lost.
const POLL_INTERVAL: Duration = Duration::from_secs(1);

/// How long after the end of a lease its batch is claimed: until the end has surely come.
const LEASE_OVER: Duration = Duration::from_millis(5);

/// How long one step on the store may take before it is tried again.
const STORE_TIMEOUT: Duration = Duration::from_mins(1);

/// How long the store may still take once the worker is to stop.
const STOP_TIMEOUT: Duration = Duration::from_secs(5);

/// How often a claim whose answer was lost is asked again at once.
const CLAIM_TRIES: u32 = 3;

/// For how long that is done: a server that hangs is left alone.
const CLAIM_AGAIN: Duration = Duration::from_secs(1);

/// How long nothing must have failed until a trouble is over.
const QUIET: Duration = Duration::from_secs(3);

/// Works batches, one at a time for each caller of [`Worker::step`].
#[derive(Debug)]
pub struct Worker {
    queue: Queue,
    hints: Hints,
    seen: LastSeen,
    store: Store,
    settings: WorkSettings,
    owner: String,
    /// The partition that is looked at first.
    turn: AtomicUsize,
    away: Away,
    queue_log: RefusalLog,
    store_log: RefusalLog,
    note_log: RefusalLog,
    left_alone: LeftAlone,
    metrics: Arc<Metrics>,
}

/// What a step found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// A batch was worked on.
    Worked,
    /// Nothing was to be had; something may be in so long a time, when a lease ends.
    Idle(Option<Duration>),
}

/// Why a batch was not finished.
#[derive(Debug, Clone)]
enum Unfinished {
    /// The worker is to stop.
    Stopping,
    /// Another worker has the batch now.
    LeaseLost,
    /// A message is of a version that this worker does not know.
    Unknown(UnknownVersion),
    /// Redis did not take a note.
    NotNoted(QueueError),
}

impl Worker {
    /// A worker with a name of its own.
    pub fn new(queue: Queue, store: Store, settings: WorkSettings) -> Self {
        let owner = format!("{}-{:08x}", std::process::id(), fastrand::u32(..));
        let (hints, seen) = (Hints::new(queue.clone()), LastSeen::new(queue.clone()));
        // Workers that are started together begin apart.
        let turn = AtomicUsize::new(fastrand::usize(..queue.partitions().len()));
        let queue_log = RefusalLog::new("the queue failed, trying on", "the queue works again", QUIET);
        let store_log = RefusalLog::new("the store failed, trying on", "the store works again", QUIET);
        let note_log = RefusalLog::new("when devices were heard of is not noted", "it is noted again", QUIET);
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

    /// The name under which the worker claims.
    pub fn owner(&self) -> &str {
        &self.owner
    }

    /// What the worker counts.
    pub fn metrics(&self) -> &Arc<Metrics> {
        &self.metrics
    }

    /// Claims a batch of `only` that partition, or of the first that has one, and works on it to
    /// its end, however long the store is away.
    ///
    /// Fails when Redis does not answer; the batch, if one was claimed, comes again.
    pub async fn step(&self, only: Option<Partition>, stop: &CancellationToken) -> Result<Outcome, QueueError> {
        // In turn, from behind the partition that had a batch last: begun at random, one in a hundred
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
                    return Ok(Outcome::Worked);
                }
                Claim::Busy { left } => soonest = sooner(soonest, left),
                Claim::Empty | Claim::Paused => {}
            }
        }
        if asked == 0 && only.is_none() {
            return Err(QueueError::Unavailable("no partition answers".into()));
        }
        Ok(Outcome::Idle(soonest))
    }

    /// Leaves a partition out whose server fails, until that answers: it holds up no other.
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

    async fn work(&self, batch: Batch, stop: &CancellationToken) -> Result<(), QueueError> {
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
            // As with an ack that fails: the lease ends, the batch comes again, and so does the note.
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

    /// Rows, counters and notes, hints, in this order; answers with what it came to. Everything may be
    /// done again, by this worker or another: rows have derived ids, and a counter whose events
    /// were seen before is made from the rows.
    async fn effect(
        &self,
        batch: &Batch,
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
            let error = format!("mongodb does not take the document: code {code}");
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
        // The note needs no more than the rows, and takes no longer than the counters.
        let (counted, noted) = tokio::join!(self.persist(lost, stop, count), self.note(batch, &rested));
        let counted = counted?;
        (effect.recounts, effect.late) = (counted.recounts, counted.late);
        let crossed: Vec<_> = counted.crossed.into_iter().collect();
        effect.not_noted = noted.map_err(Unfinished::NotNoted)?;
        crash.pass("after_counter_before_ack");

        if let Err(error) = self.hints.leave(&crossed).await {
            log::debug!(error:% = error; "no hints left: the alerters look by themselves");
        }
        Ok(effect)
    }

    /// The repeats of a batch; most have none, and nothing is asked for.
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

    /// Says which devices were heard of and which hours have got rows: after the rows are stored,
    /// so that who adds up an hour meanwhile will do so again, and before the ack, so that it is
    /// said in the end, whoever dies. Answers with how many devices there was no room for.
    async fn note(&self, batch: &Batch, rested: &[WrittenEvent]) -> Result<usize, QueueError> {
        let seen: Vec<_> = receipts(rested).into_iter().map(|(device, receipt)| (device, receipt.last_at)).collect();
        if seen.is_empty() {
            return Ok(0);
        }
        let most = self.settings.max_devices.get().div_ceil(self.queue.partitions().len() as u64);
        let place = batch.lease.partition.number();
        match self.seen.note(batch.lease.partition, &seen, &hours(rested), most).await {
            // Another try changes nothing, and the reports must not wait for a note.
            Err(error @ (QueueError::Refused(_) | QueueError::Denied(_))) => {
                self.note_log.refused(error.cause(), place, seen.len() as u64, &error);
                Ok(seen.len())
            }
            noted => noted.inspect(|_| self.note_log.succeeded(place)),
        }
    }

    /// Does one step on the store until it is done, for hours if need be. The lease is kept
    /// meanwhile, and the batch's attempts do not rise: `MongoDB` being away is not its fault.
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
            Ok(Outcome::Worked) => {
                backoff.reset();
                only = None;
                continue;
            }
            Ok(Outcome::Idle(soonest)) => {
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
