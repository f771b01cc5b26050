//! Readiness of the queue: of a push, by a push without messages; of a worker, by a write that changes nothing.

use std::{
    collections::BTreeMap,
    sync::{Arc, Weak},
    time::{Duration, Instant},
};

use futures_util::future::join_all;
use tokio::{
    sync::Mutex,
    time::{error::Elapsed, timeout},
};

use super::{
    BatchId, Lease, LeaseState, Partition, Queue, QueueError,
    push::{Pushed, QUEUE_FULL},
};

/// The lifetime of a cached answer.
const FRESH: Duration = Duration::from_millis(900);

/// The timeout of all partitions together.
const TIMEOUT: Duration = Duration::from_millis(2_500);

/// The interval between checks by the process itself, so that the end of a refusal is seen without a report.
const INTERVAL: Duration = Duration::from_secs(5);

/// The interval while reports are refused.
const INTERVAL_REFUSING: Duration = Duration::from_secs(1);

/// The partitions that would accept a push.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Readiness {
    /// The number of partitions.
    pub partitions: usize,
    /// The partitions that would refuse, by cause.
    pub refused: Vec<Refused>,
}

/// The reason that some partitions would refuse a push. It names no host and no user, since it is public.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// A short stable word.
    pub cause: &'static str,
    /// The same for people.
    pub detail: &'static str,
    /// The partitions, in order.
    pub partitions: Vec<u16>,
}

impl Readiness {
    /// Returns whether any partition would accept a push.
    pub fn is_ready(&self) -> bool {
        self.refusing() < self.partitions
    }

    /// Returns the number of partitions that would refuse.
    pub fn refusing(&self) -> usize {
        self.refused.iter().map(|refused| refused.partitions.len()).sum()
    }

    /// Returns the readiness of partitions, each with its cause and the words for people if it refuses.
    fn of(causes: Vec<(Partition, Option<Cause>)>) -> Self {
        let partitions = causes.len();
        let mut by_cause = BTreeMap::<_, Vec<_>>::new();
        for (partition, cause) in causes {
            if let Some(cause) = cause {
                by_cause.entry(cause).or_default().push(partition.number());
            }
        }
        let refused = by_cause.into_iter().map(|((cause, detail), partitions)| Refused { cause, detail, partitions });
        Self { partitions, refused: refused.collect() }
    }
}

/// A short stable word, and the same for people.
type Cause = (&'static str, &'static str);

const FULL: Cause = (QUEUE_FULL, "the queue is full: --max-queue");

impl Queue {
    /// Returns whether a worker could work. Each partition gets a write that changes nothing, which Redis refuses as it
    /// would refuse the worker's own.
    pub async fn readiness_to_work(&self) -> Readiness {
        let nothing = |partition| Lease { partition, batch: BatchId::none(), epoch: 0 };
        let causes = self.partitions().map(async |partition| {
            // A status reads every key that a worker needs.
            let ask = async {
                let (LeaseState::Held | LeaseState::Lost) = self.extend(&nothing(partition), Duration::ZERO).await?;
                self.status(partition).await.map(|_| None)
            };
            (partition, cause(timeout(TIMEOUT, ask).await))
        });
        Readiness::of(join_all(causes).await)
    }
}

/// Returns the cause of a partition's answer, or of its timeout.
fn cause(asked: Result<Result<Option<Cause>, QueueError>, Elapsed>) -> Option<Cause> {
    let late = QueueError::Unavailable(String::new());
    match asked {
        Ok(Ok(cause)) => cause,
        Ok(Err(error)) => Some((error.cause(), error.detail())),
        Err(_) => Some((late.cause(), late.detail())),
    }
}

/// The last answer, shared by all callers; while it is refreshed, they wait for the same.
#[derive(Debug, Clone)]
pub(super) struct ReadinessCache {
    queue: Queue,
    limit: u64,
    last: Arc<Mutex<Option<(Instant, Readiness)>>>,
}

impl ReadinessCache {
    /// Starts to check regularly, until the last clone is dropped.
    pub(super) fn new(queue: Queue, limit: u64) -> Self {
        let cache = Self { queue, limit, last: Arc::default() };
        tokio::spawn(keep_asking(cache.queue.clone(), limit, Arc::downgrade(&cache.last)));
        cache
    }

    pub(super) async fn get(&self) -> Readiness {
        let mut last = self.last.lock().await;
        // A report that was refused meanwhile is newer.
        let is_refusing = self.queue.redis.refusals().is_open();
        if let Some((at, readiness)) = &*last
            && at.elapsed() < FRESH
            && readiness.refused.is_empty() != is_refusing
        {
            return readiness.clone();
        }
        let readiness = ask(&self.queue, self.limit).await;
        *last = Some((Instant::now(), readiness.clone()));
        readiness
    }
}

/// The answers are for the log alone.
async fn keep_asking<T>(queue: Queue, limit: u64, alive: Weak<T>) {
    while alive.strong_count() > 0 {
        ask(&queue, limit).await;
        let is_refusing = queue.redis.refusals().is_open();
        tokio::time::sleep(if is_refusing { INTERVAL_REFUSING } else { INTERVAL }).await;
    }
}

async fn ask(queue: &Queue, limit: u64) -> Readiness {
    let causes = queue.partitions().map(async |partition| {
        let pushed = timeout(TIMEOUT, queue.push(partition, &[], limit)).await;
        let is_full = |pushed: Pushed| (pushed.depth >= limit).then_some(FULL);
        (partition, cause(pushed.map(|pushed| pushed.map(is_full))))
    });
    Readiness::of(join_all(causes).await)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn partitions_that_refuse_are_named_by_cause() {
        let away = Some(("redis_away", "Redis does not answer"));
        let causes = [None, away, Some(FULL), away];
        let of = |causes: &[Option<Cause>]| Readiness::of((0..).map(Partition).zip(causes.iter().copied()).collect());
        let some = of(&causes);
        let named: Vec<_> = some.refused.iter().map(|refused| (refused.cause, refused.partitions.clone())).collect();
        assert_eq!(named, [(QUEUE_FULL, vec![2]), ("redis_away", vec![1, 3])]);
        assert!(some.is_ready() && some.refusing() == 3);
        assert!(!of(&causes[1..]).is_ready());
        assert!(of(&[None]).refused.is_empty());
    }
}
