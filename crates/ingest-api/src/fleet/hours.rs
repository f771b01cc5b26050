//! The hours of a range, added up after a refresh.
//!
//! An hour is computed if it never was, or if it has new rows since. Workers mark the hour after they store its
//! rows. A computation carries a time from before it read the rows, by the same clock of Redis. So a row stored
//! in between makes the hour stale, and is not missed.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use futures_util::{StreamExt, TryStreamExt, stream};
use jiff::{SignedDuration, Timestamp};
use pisync_core::{models::SyncHour, presence::LastSeen, queue::Queue, store::Store, time::hour_of};
use tokio::time::Instant;

use super::refresh::{OneAtATime, TIMEOUT};
use crate::http::error::ApiError;

const HOUR: SignedDuration = SignedDuration::from_hours(1);

/// Number of hours kept up to date; the workers' marks reach back at least as far.
pub(crate) const KEPT: i32 = 24 * 8;

/// Minimum age of the running hour before it is computed again.
const RUNNING_INTERVAL: SignedDuration = SignedDuration::from_secs(5);

/// Maximum difference between the clocks of Redis' nodes, and maximum time until a demoted primary notices. An
/// hour marked so shortly before its computation is computed again.
const SLACK: SignedDuration = SignedDuration::from_secs(5);

/// Number of hours computed concurrently: the first query computes all.
const BATCH_SIZE: usize = 4;

/// Rest after a computation longer than [`BRIEF`], as a multiple of it. Stale hours take a tenth of the time,
/// however many reports are late.
const REST: u32 = 9;
const BRIEF: Duration = Duration::from_millis(250);

/// The hours. Clones share one turn: a process computes for one query at a time.
#[derive(Debug, Clone)]
pub struct Hours {
    seen: LastSeen,
    store: Store,
    turn: OneAtATime,
    rested_at: Arc<Mutex<Option<Instant>>>,
}

impl Hours {
    /// Returns the hours of a queue and a store.
    pub fn new(queue: Queue, store: Store) -> Self {
        Self { seen: LastSeen::new(queue), store, turn: OneAtATime::default(), rested_at: Arc::default() }
    }

    /// Returns the hours from `from` inclusive to `to` exclusive, in order, without future ones. Those of the
    /// last 8 days are complete and up to date. The running one lags by up to 5 s, and all do while late reports
    /// change many. Older ones are as last computed; those never computed are missing.
    ///
    /// The first call reads all rows of the range. If that takes more than 3 s, or the store hangs, the call
    /// fails; the computed hours are there for the next one.
    pub async fn of(&self, from: Timestamp, to: Timestamp) -> Result<Vec<SyncHour>, ApiError> {
        self.within(from, to, TIMEOUT).await
    }

    /// Returns the same with another timeout.
    pub(crate) async fn within(
        &self,
        from: Timestamp,
        to: Timestamp,
        patience: Duration,
    ) -> Result<Vec<SyncHour>, ApiError> {
        let this = self.clone();
        self.turn.run(patience, "the hours", || async move { this.refresh(from, to).await }).await
    }

    async fn refresh(&self, from: Timestamp, to: Timestamp) -> Result<Vec<SyncHour>, ApiError> {
        let now = self.seen.now().await?;
        let touched = self.seen.touched(from, to).await?;
        let stored = self.store.sync_hours().hours(from, to).await?;
        let mut hours: BTreeMap<_, _> = stored.into_iter().map(|hour| (hour.hour, hour)).collect();
        let (began, resting) = (Instant::now(), self.is_resting());
        let is_due = |hour: &Timestamp| match hours.get(hour) {
            None => true,
            Some(stored) => !resting && is_stale(stored, touched.get(hour).copied(), now),
        };
        let due: Vec<_> = within(from, to, now).filter(is_due).collect();
        let store = self.store.sync_hours();
        let computed = stream::iter(due).map(async |hour| store.compute(hour, now).await);
        let computed: Vec<_> = computed.buffer_unordered(BATCH_SIZE).try_collect().await?;
        hours.extend(computed.into_iter().map(|hour| (hour.hour, hour)));
        if began.elapsed() > BRIEF {
            let rested_at = Instant::now() + REST * began.elapsed();
            *self.rested_at.lock().unwrap_or_else(PoisonError::into_inner) = Some(rested_at);
        }
        Ok(hours.into_values().filter(|hour| hour.hour <= now).collect())
    }

    fn is_resting(&self) -> bool {
        let rested_at = *self.rested_at.lock().unwrap_or_else(PoisonError::into_inner);
        rested_at.is_some_and(|rested_at| Instant::now() < rested_at)
    }
}

/// Returns the starts of the hours of a range that are kept up to date, in order.
fn within(from: Timestamp, to: Timestamp, now: Timestamp) -> impl Iterator<Item = Timestamp> {
    let running = hour_of(now);
    let back = (0..KEPT).rev().filter_map(move |back| running.checked_sub(HOUR * back).ok());
    back.filter(move |hour| (from..to).contains(hour))
}

/// Returns whether an hour must be computed again.
fn is_stale(stored: &SyncHour, touched: Option<Timestamp>, now: Timestamp) -> bool {
    let rested = stored.hour < hour_of(now) || stored.computed_at + RUNNING_INTERVAL <= now;
    !stored.closed && rested && touched.is_some_and(|touched| touched + SLACK >= stored.computed_at)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(time: &str) -> Timestamp {
        format!("2026-11-23T{time}Z").parse().unwrap()
    }

    fn computed(computed_at: &str) -> SyncHour {
        SyncHour::empty(at("12:00:00"), at(computed_at))
    }

    #[test]
    fn an_hour_is_stale_when_rows_came_after_it_was_computed_or_just_before() {
        let hour = computed("13:30:00");
        for (touched, stale) in [("13:29:54", false), ("13:29:55", true), ("13:30:00", true), ("14:00:00", true)] {
            assert_eq!(is_stale(&hour, Some(at(touched)), at("14:00:00")), stale, "{touched}");
        }
        assert!(!is_stale(&hour, None, at("14:00:00")));
        let closed = SyncHour { closed: true, ..hour };
        assert!(!is_stale(&closed, Some(at("14:00:00")), at("14:00:00")), "its rows may be gone");
    }

    #[test]
    fn the_running_hour_is_computed_every_five_seconds_at_the_most() {
        let hour = computed("12:30:00");
        assert!(!is_stale(&hour, Some(at("12:30:04")), at("12:30:04.999")));
        assert!(is_stale(&hour, Some(at("12:30:04")), at("12:30:05")));
    }

    #[test]
    fn hours_that_have_not_begun_or_are_long_gone_are_not_computed() {
        let all: Vec<_> = within(Timestamp::MIN, Timestamp::MAX, at("12:30:00")).collect();
        assert_eq!((all.len(), all[0], all[191]), (192, "2026-11-15T13:00:00Z".parse().unwrap(), at("12:00:00")));
        let some: Vec<_> = within(at("10:00:00"), at("12:00:00"), at("12:30:00")).collect();
        assert_eq!(some, [at("10:00:00"), at("11:00:00")]);
    }
}
