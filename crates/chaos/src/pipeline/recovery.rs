//! How long a batch is without a worker: from the end of the one that held it until the next
//! acknowledgement of its partition.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use pisync_core::queue::{PartitionStatus, Queue};
use tokio::task::JoinHandle;

/// How often the queue is looked at.
const POLL_INTERVAL: Duration = Duration::from_millis(20);

/// Watches the batches of workers that were killed. One batch of a partition is in flight at a
/// time, so the next acknowledgement of the partition is that of the batch.
#[derive(Debug)]
pub(crate) struct Recovery {
    queue: Queue,
    seen: Arc<Mutex<Seen>>,
    task: JoinHandle<()>,
}

#[derive(Debug, Default)]
struct Seen {
    /// Batches whose worker was killed, and when. If the next one is killed too, it counts from
    /// then: what is measured is the system, not how often it is hit.
    orphans: HashMap<String, Instant>,
    times: Vec<Duration>,
}

impl Recovery {
    /// Starts watching.
    pub(crate) fn watch(queue: Queue) -> Self {
        let seen = Arc::default();
        let task = tokio::spawn(look(queue.clone(), Arc::clone(&seen)));
        Self { queue, seen, task }
    }

    /// Takes note that the process `pid` was killed at `when`, with what it held.
    pub(crate) async fn killed(&self, pid: u32, when: Instant) {
        let Ok(status) = self.queue.status_of_all().await else { return };
        lock(&self.seen).orphans.extend(batches_of(&status, pid).map(|batch| (batch, when)));
    }

    /// Takes note of a time that was measured otherwise.
    pub(crate) fn took(&self, time: Duration) {
        lock(&self.seen).times.push(time);
    }

    /// The times to recovery so far, shortest first.
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

/// The batches that a process holds. A worker's name begins with its process id.
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
    /// Batches that are not in the queue any more were acknowledged; those that were noted down
    /// after the question may be missing in the answer for another reason.
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
