//! Whether a push would be taken, found out by a push without messages; and whether a worker could
//! work, by a write that changes nothing.

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

/// How long an answer is good: who asks more often gets the same.
const FRESH: Duration = Duration::from_millis(900);

/// How long all partitions together may take.
const TIMEOUT: Duration = Duration::from_millis(2_500);

/// How often the partitions are asked by themselves, so that the end of a refusal is seen without
/// a report.
const INTERVAL: Duration = Duration::from_secs(5);

/// The same while reports are refused.
const INTERVAL_REFUSING: Duration = Duration::from_secs(1);

/// Which partitions would take a push.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Readiness {
    /// How many partitions there are.
    pub partitions: usize,
    /// Those that would not, by cause.
    pub refused: Vec<Refused>,
}

/// Why some partitions would not take a push. It names no host and no user, since anybody may read it.
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
    /// Returns whether any partition would take a push.
    pub fn is_ready(&self) -> bool {
        self.refusing() < self.partitions
    }

    /// Returns how many partitions would take none.
    pub fn refusing(&self) -> usize {
        self.refused.iter().map(|refused| refused.partitions.len()).sum()
    }

    /// Returns the answer for partitions each of which has no cause, or one with its words for people.
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

const FULL: Cause = (QUEUE_FULL, "as many events wait as may: --max-queue");

impl Queue {
    /// Returns whether a worker could work: each partition is asked for a write that changes nothing,
    /// which Redis refuses as it would refuse the worker's own.
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

/// The cause of what a partition answered in time, or not.
fn cause(asked: Result<Result<Option<Cause>, QueueError>, Elapsed>) -> Option<Cause> {
    let late = QueueError::Unavailable(String::new());
    match asked {
        Ok(Ok(cause)) => cause,
        Ok(Err(error)) => Some((error.cause(), error.detail())),
        Err(_) => Some((late.cause(), late.detail())),
    }
}

/// The last answer, shared by all who ask; while it is found out, they wait for the same.
#[derive(Debug, Clone)]
pub(super) struct ReadinessCache {
    queue: Queue,
    limit: u64,
    last: Arc<Mutex<Option<(Instant, Readiness)>>>,
}

impl ReadinessCache {
    /// Starts to ask now and then, until the last clone is dropped.
    pub(super) fn new(queue: Queue, limit: u64) -> Self {
        let cache = Self { queue, limit, last: Arc::default() };
        tokio::spawn(keep_asking(cache.queue.clone(), limit, Arc::downgrade(&cache.last)));
        cache
    }

    pub(super) async fn get(&self) -> Readiness {
        let mut last = self.last.lock().await;
        // A report that was refused meanwhile knows better.
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
