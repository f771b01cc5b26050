//! The time of a batch without a worker: from the end of its worker to the next acknowledgement in its partition.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use pisync_core::queue::{PartitionStatus, Queue};
use tokio::task::JoinHandle;

/// The interval between two readings of the queue.
const POLL_INTERVAL: Duration = Duration::from_millis(20);

/// A watch of the batches of killed workers. A partition has one batch in flight at a time, so its next
/// acknowledgement is that of the batch.
#[derive(Debug)]
pub(crate) struct Recovery {
    queue: Queue,
    seen: Arc<Mutex<Seen>>,
    task: JoinHandle<()>,
}

#[derive(Debug, Default)]
struct Seen {
    /// Batches of killed workers, and the time of the kill. If the next worker is killed too, the time starts again:
    /// it measures the system and not the number of kills.
    orphans: HashMap<String, Instant>,
    times: Vec<Duration>,
}

impl Recovery {
    /// Starts the watch.
    pub(crate) fn watch(queue: Queue) -> Self {
        let seen = Arc::default();
        let task = tokio::spawn(look(queue.clone(), Arc::clone(&seen)));
        Self { queue, seen, task }
    }

    /// Records that the process `pid` was killed at `when`, with its batches.
    pub(crate) async fn killed(&self, pid: u32, when: Instant) {
        let Ok(status) = self.queue.status_of_all().await else { return };
        lock(&self.seen).orphans.extend(batches_of(&status, pid).map(|batch| (batch, when)));
    }

    /// Records a time to recovery that was measured elsewhere.
    pub(crate) fn took(&self, time: Duration) {
        lock(&self.seen).times.push(time);
    }

    /// Returns the times to recovery so far, shortest first.
    pub(crate) fn times(&self) -> Vec<Duration> {
        let mut times = lock(&self.seen).times.clone();
        times.sort_unstable();
        times
    }
}

impl Drop for Recovery {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Returns the batches that a process holds. A worker's name begins with its process id.
pub(crate) fn batches_of(status: &[PartitionStatus], pid: u32) -> impl Iterator<Item = String> {
    let owner = format!("{pid}-");
    let batches = status.iter().filter_map(|partition| partition.batch.as_ref());
    batches.filter(move |batch| batch.owner.starts_with(&owner)).map(|batch| batch.batch.clone())
}

async fn look(queue: Queue, seen: Arc<Mutex<Seen>>) {
    loop {
        tokio::time::sleep(POLL_INTERVAL).await;
        let asked = Instant::now();
        if let Ok(status) = queue.status_of_all().await {
            lock(&seen).compare(&status, asked);
        }
    }
}

impl Seen {
    /// Ends batches that are no longer in the queue: they were acknowledged. Batches recorded after `asked` may be
    /// missing for another reason.
    fn compare(&mut self, status: &[PartitionStatus], asked: Instant) {
        let is_there =
            |batch: &String| status.iter().any(|p| p.batch.as_ref().is_some_and(|there| there.batch == *batch));
        let done = self.orphans.extract_if(|batch, when| *when < asked && !is_there(batch));
        self.times.extend(done.map(|(_, when)| when.elapsed()));
    }
}

fn lock(seen: &Mutex<Seen>) -> MutexGuard<'_, Seen> {
    seen.lock().unwrap_or_else(PoisonError::into_inner)
}
