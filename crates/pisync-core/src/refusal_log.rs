//! A log of refusals: one line when they begin and one when they end, with count and duration.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

/// Logs the beginning and the end of refusals, one pair of lines for each cause.
///
/// A cause ends once every affected place has had a success, and nothing was refused for some time. So one that comes
/// and goes every second is one refusal.
#[derive(Debug)]
pub struct RefusalLog {
    begun: &'static str,
    over: &'static str,
    quiet: Duration,
    /// Whether any cause is open, so that a success takes no lock.
    is_open: AtomicBool,
    open: Mutex<BTreeMap<&'static str, Open>>,
}

#[derive(Debug)]
struct Open {
    since: Instant,
    last: Instant,
    count: u64,
    places: BTreeSet<u16>,
}

impl RefusalLog {
    /// Returns a log with the lines `begun` and `over`; a cause ends after `quiet` without a refusal.
    pub fn new(begun: &'static str, over: &'static str, quiet: Duration) -> Self {
        Self { begun, over, quiet, is_open: AtomicBool::new(false), open: Mutex::default() }
    }

    /// Counts `count` refusals at a place, and logs the first.
    pub fn refused(&self, cause: &'static str, place: u16, count: u64, why: &dyn fmt::Display) {
        let now = Instant::now();
        let mut open = self.lock();
        self.is_open.store(true, Relaxed);
        let entry = open.entry(cause).or_insert_with(|| {
            log::warn!(cause = cause, error:% = why; "{}", self.begun);
            Open { since: now, last: now, count: 0, places: BTreeSet::new() }
        });
        entry.last = now;
        entry.count = entry.count.saturating_add(count);
        entry.places.insert(place);
    }

    /// Records a success at a place, and logs the causes that end by it.
    pub fn succeeded(&self, place: u16) {
        if !self.is_open() {
            return;
        }
        let mut open = self.lock();
        open.retain(|cause, entry| {
            entry.places.remove(&place);
            let is_over = entry.places.is_empty() && entry.last.elapsed() >= self.quiet;
            if is_over {
                let seconds = entry.since.elapsed().as_secs();
                log::info!(cause = *cause, refused = entry.count, seconds = seconds; "{}", self.over);
            }
            !is_over
        });
        self.is_open.store(!open.is_empty(), Relaxed);
    }

    /// Returns whether a cause has begun and is not over.
    pub fn is_open(&self) -> bool {
        self.is_open.load(Relaxed)
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<&'static str, Open>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(log: &RefusalLog) -> Vec<(&'static str, u64)> {
        log.lock().iter().map(|(cause, open)| (*cause, open.count)).collect()
    }

    #[test]
    fn a_cause_is_over_when_each_place_that_it_struck_has_had_a_success() {
        let log = RefusalLog::new("refused", "over", Duration::ZERO);
        log.succeeded(1);
        assert!(!log.is_open());
        log.refused("away", 1, 3, &"no answer");
        log.refused("away", 2, 1, &"no answer");
        log.refused("full", 2, 1, &"no room");
        assert_eq!(counts(&log), [("away", 4), ("full", 1)]);
        log.succeeded(1);
        log.succeeded(3);
        assert_eq!(counts(&log), [("away", 4), ("full", 1)]);
        log.succeeded(2);
        assert!(!log.is_open());
    }

    #[test]
    fn a_cause_that_comes_and_goes_is_one() {
        let log = RefusalLog::new("refused", "over", Duration::from_hours(1));
        for _ in 0..3 {
            log.refused("full", 1, 1, &"no room");
            log.succeeded(1);
        }
        assert_eq!(counts(&log), [("full", 3)]);
    }
}
