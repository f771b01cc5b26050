//! Whether a push would be taken, found out by a push without messages.

use std::{
    collections::BTreeMap,
    sync::{Arc, Weak},
    time::{Duration, Instant},
};

use futures_util::future::join_all;
use tokio::{sync::Mutex, time::timeout};

use super::{Partition, Queue, QueueError, push::QUEUE_FULL};

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

    fn of(causes: Vec<(Partition, Option<&'static str>)>) -> Self {
        let partitions = causes.len();
        let mut by_cause = BTreeMap::<_, Vec<_>>::new();
        for (partition, cause) in causes {
            if let Some(cause) = cause {
                by_cause.entry(cause).or_default().push(partition.number());
            }
        }
        let refused =
            by_cause.into_iter().map(|(cause, partitions)| Refused { cause, detail: detail(cause), partitions });
        Self { partitions, refused: refused.collect() }
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
        let cause = match timeout(TIMEOUT, queue.push(partition, &[], limit)).await {
            Ok(Ok(pushed)) if pushed.depth >= limit => Some(QUEUE_FULL),
            Ok(Ok(_)) => None,
            Ok(Err(error)) => Some(error.cause()),
            Err(_) => Some(QueueError::Unavailable(String::new()).cause()),
        };
        (partition, cause)
    });
    Readiness::of(join_all(causes).await)
}

fn detail(cause: &str) -> &'static str {
    match cause {
        QUEUE_FULL => "as many events wait as may: --max-queue",
        "redis_full" => "Redis has reached its maxmemory",
        "redis_read_only" => "Redis takes no writes: it is a replica",
        "redis_not_durable" => "Redis cannot write to its disk, or has too few replicas",
        "redis_access" => "Redis refuses the user, the password or the command",
        "redis_refused" => "Redis refuses the command: a key is of another type",
        "redis_settings" => "Redis is set up so that it would lose events, or the settings do not fit it",
        "partitions_changed" => "the number of partitions is being changed, or was",
        _ => "Redis does not answer",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn partitions_that_refuse_are_named_by_cause() {
        let causes = [None, Some("redis_away"), Some(QUEUE_FULL), Some("redis_away")];
        let of =
            |causes: &[Option<&'static str>]| Readiness::of((0..).map(Partition).zip(causes.iter().copied()).collect());
        let some = of(&causes);
        let named: Vec<_> = some.refused.iter().map(|refused| (refused.cause, refused.partitions.clone())).collect();
        assert_eq!(named, [(QUEUE_FULL, vec![2]), ("redis_away", vec![1, 3])]);
        assert!(some.is_ready() && some.refusing() == 3);
        assert!(!of(&causes[1..]).is_ready());
        assert!(of(&[None]).refused.is_empty());
    }
}
