//! Group commit: requests that arrive together go to Redis together.
//!
//! One task pushes. While its pushes are under way, new arrivals form the next group. So the group grows with the load,
//! and a lone request does not wait. In a cluster each partition has a task of its own, so that an unavailable server
//! delays no other partition. Source: group commit as in D. `DeWitt` et al., "Implementation Techniques for Main Memory
//! Database Systems", 1984.

use std::{collections::BTreeMap, sync::Arc};

use futures_util::future::join_all;
use tokio::sync::{mpsc, oneshot};

use super::{
    Partition, Pushed, Queue, QueueError, encode,
    readiness::{Readiness, ReadinessCache},
};
use crate::models::SyncEvent;

/// The most messages in one group.
const GROUP: usize = 1_000;

/// The most messages waiting for all tasks together; beyond, a push is refused at once.
const WAITING: usize = 16 * GROUP;

/// The least waiting limit of one task.
const LEAST_WAITING: usize = 256;

/// Pushes events, many at a time. Cheap to clone; all clones share the same tasks.
#[derive(Debug, Clone)]
pub struct Producer {
    queue: Queue,
    limit: u64,
    /// The input of the one task, or of each partition's task, in order.
    waiting: Arc<[mpsc::Sender<Message>]>,
    readiness: ReadinessCache,
}

/// The reason that an event was not accepted. It is not in Redis, or the caller must act as if it were not.
#[derive(Debug, Clone, thiserror::Error)]
pub enum PushError {
    /// The partition is at its limit.
    #[error("the queue is full: {depth} events wait in the partition")]
    Full {
        /// The number of messages waiting in the partition.
        depth: u64,
    },
    /// Redis is unavailable or full.
    #[error(transparent)]
    Queue(#[from] QueueError),
}

#[derive(Debug)]
struct Message {
    partition: Partition,
    bytes: Vec<u8>,
    taken: oneshot::Sender<Result<(), PushError>>,
}

impl Producer {
    /// Starts the tasks that push. They end with the last clone.
    ///
    /// `max_queue` is the most events that may wait in all partitions together.
    pub fn start(queue: Queue, max_queue: u64) -> Self {
        let partitions = queue.partitions().len();
        let limit = max_queue.div_ceil(partitions as u64);
        let tasks = if queue.redis.is_cluster() { partitions } else { 1 };
        let room = (WAITING / tasks).max(LEAST_WAITING);
        let start = |_| {
            let (waiting, arrivals) = mpsc::channel(room);
            tokio::spawn(commit_groups(queue.clone(), limit, arrivals));
            waiting
        };
        let waiting = (0..tasks).map(start).collect();
        let readiness = ReadinessCache::new(queue.clone(), limit);
        Self { queue, limit, waiting, readiness }
    }

    /// Returns whether each partition would accept a push; at most a second old.
    pub async fn readiness(&self) -> Readiness {
        self.readiness.get().await
    }

    /// Returns the most events that may wait in all partitions together.
    pub fn max_queue(&self) -> u64 {
        self.limit.saturating_mul(self.queue.partitions().len() as u64)
    }

    /// Queues one event; when it returns, Redis has it.
    pub async fn push(&self, event: &SyncEvent) -> Result<(), PushError> {
        let (taken, answer) = oneshot::channel();
        let partition = self.queue.partition_of(&event.device_id);
        let task = &self.waiting[usize::from(partition.number()) % self.waiting.len()];
        if task.try_send(Message { partition, bytes: encode(event), taken }).is_err() {
            return Err(unavailable("too many requests wait for it"));
        }
        answer.await.unwrap_or_else(|_| Err(unavailable("the process is stopping")))
    }

    /// Queues many events, one push for each partition. Returns the result of each, in their order. When it returns,
    /// Redis has all accepted ones.
    ///
    /// An event that was not accepted may be there all the same, if Redis failed: push it again, since equal events are
    /// one row.
    pub async fn push_all(&self, events: &[SyncEvent]) -> Vec<Result<(), PushError>> {
        let mut by_partition = BTreeMap::<_, (Vec<_>, Vec<_>)>::new();
        for (place, event) in events.iter().enumerate() {
            let (places, messages) = by_partition.entry(self.queue.partition_of(&event.device_id)).or_default();
            places.push(place);
            messages.push(encode(event));
        }
        let pushes = by_partition.into_iter().map(async |(partition, (places, messages))| {
            let pushed = self.queue.push(partition, &messages, self.limit).await;
            (places, pushed)
        });
        let mut taken: Vec<_> = events.iter().map(|_| Ok(())).collect();
        for (places, pushed) in join_all(pushes).await {
            for (nth, place) in places.into_iter().enumerate() {
                taken[place] = outcome(&pushed, nth);
            }
        }
        taken
    }
}

/// Returns the result of the nth message of a push.
fn outcome(pushed: &Result<Pushed, QueueError>, nth: usize) -> Result<(), PushError> {
    match pushed {
        Ok(pushed) if nth < pushed.accepted => Ok(()),
        Ok(pushed) => Err(PushError::Full { depth: pushed.depth }),
        Err(error) => Err(error.clone().into()),
    }
}

fn unavailable(why: &str) -> PushError {
    QueueError::Unavailable(why.into()).into()
}

async fn commit_groups(queue: Queue, limit: u64, mut arrivals: mpsc::Receiver<Message>) {
    let mut group = Vec::new();
    while arrivals.recv_many(&mut group, GROUP).await > 0 {
        // A caller that has gone away never got its 202.
        group.retain(|message| !message.taken.is_closed());
        group.sort_by_key(|message| message.partition);
        let mut pushes = Vec::new();
        while let Some(first) = group.first() {
            let partition = first.partition;
            let size = group.iter().take_while(|message| message.partition == partition).count();
            pushes.push(commit(&queue, limit, partition, group.drain(..size).collect()));
        }
        let failed = join_all(pushes).await.into_iter().find_map(Result::err);
        if let Some(error @ QueueError::Unavailable(_)) = failed {
            // Later arrivals would wait for the next failure: refuse them at once.
            while let Ok(message) = arrivals.try_recv() {
                let _ = message.taken.send(Err(error.clone().into()));
            }
        }
    }
}

async fn commit(queue: &Queue, limit: u64, partition: Partition, messages: Vec<Message>) -> Result<(), QueueError> {
    let (bytes, takers): (Vec<_>, Vec<_>) = messages.into_iter().map(|message| (message.bytes, message.taken)).unzip();
    // Boxed: this future is large, and those of a group are moved several times.
    let pushed = Box::pin(queue.push(partition, &bytes, limit)).await;
    for (i, taker) in takers.into_iter().enumerate() {
        // A caller that has gone away needs no answer.
        let _ = taker.send(outcome(&pushed, i));
    }
    pushed.map(drop)
}
