//! The state of the pipeline, from the queue.

use std::{
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use jiff::Timestamp;
use pisync_core::queue::PartitionStatus;

/// Minimum time between two measurements of a rate.
const APART: Duration = Duration::from_secs(2);

/// The whole queue at one moment.
#[derive(Debug, Clone, Default)]
pub(super) struct Pipeline {
    pub(super) waiting: u64,
    pub(super) in_flight: u64,
    /// Age of the oldest event, in seconds.
    pub(super) oldest_seconds: i64,
    pub(super) dead_letters: u64,
    pub(super) is_paused: bool,
    /// Number of events ever accepted.
    pub(super) accepted: u64,
}

impl Pipeline {
    /// Returns the sum of all partitions.
    pub(super) fn of(partitions: &[PartitionStatus], now: Timestamp) -> Self {
        let mut all = Self::default();
        for partition in partitions {
            let oldest = partition.oldest.as_ref().map(|event| now.duration_since(event.received_at).as_secs());
            all.waiting += partition.ready;
            all.in_flight += partition.in_flight();
            all.oldest_seconds = all.oldest_seconds.max(oldest.unwrap_or(0));
            all.dead_letters += partition.dead;
            all.is_paused |= partition.paused;
            all.accepted += partition.total("pushed");
        }
        all
    }
}

/// The rate of accepted events, between two calls in this process.
#[derive(Debug, Default)]
pub struct Pace(Mutex<Looks>);

#[derive(Debug, Default)]
struct Looks {
    last: Option<(Instant, u64)>,
    per_second: Option<f64>,
}

impl Pace {
    /// Returns the events per second since the previous call; `None` at the first call.
    pub(super) fn look(&self, pipeline: &Pipeline) -> Option<f64> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).look(Instant::now(), pipeline.accepted)
    }
}

impl Looks {
    #[expect(clippy::cast_precision_loss, reason = "counts are below 2^53")]
    fn look(&mut self, now: Instant, accepted: u64) -> Option<f64> {
        match self.last {
            Some((at, _)) if now.duration_since(at) < APART => return self.per_second,
            Some((at, before)) => {
                let seconds = now.duration_since(at).as_secs_f64();
                self.per_second = Some(accepted.saturating_sub(before) as f64 / seconds);
            }
            None => {}
        }
        self.last = Some((now, accepted));
        self.per_second
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pace_is_measured_between_looks_that_are_apart() {
        let (mut looks, start) = (Looks::default(), Instant::now());
        let mut at = |ms, accepted| looks.look(start + Duration::from_millis(ms), accepted);
        assert_eq!([at(0, 100), at(1_000, 150), at(4_000, 180), at(5_000, 900)], [None, None, Some(20.0), Some(20.0)]);
    }
}
