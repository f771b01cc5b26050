//! The log of `--auth observe`: at most one line a second, with a count of those omitted.

use std::{
    fmt,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use super::Refusal;

const PAUSE: Duration = Duration::from_secs(1);

/// Logs the refusals that are not enforced, at a limited rate.
#[derive(Debug, Default)]
pub(super) struct ObserveLog(Mutex<Said>);

#[derive(Debug, Default)]
struct Said {
    last: Option<Instant>,
    suppressed: u64,
}

impl ObserveLog {
    /// Logs the call, or counts it as omitted.
    pub(super) fn say(&self, refusal: &Refusal, call: fmt::Arguments<'_>) {
        if let Some(suppressed) = self.turn(Instant::now()) {
            log::warn!(reason:% = refusal, call:% = call, suppressed; "enforce would refuse this");
        }
    }

    /// Returns the number of omitted lines if a line is due.
    fn turn(&self, now: Instant) -> Option<u64> {
        let mut said = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if said.last.is_some_and(|last| now.saturating_duration_since(last) < PAUSE) {
            said.suppressed += 1;
            return None;
        }
        said.last = Some(now);
        Some(std::mem::take(&mut said.suppressed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_a_second_with_the_count_of_the_others() {
        let (observe_log, start) = (ObserveLog::default(), Instant::now());
        let at = |ms| observe_log.turn(start + Duration::from_millis(ms));
        assert_eq!([at(0), at(10), at(999), at(1000), at(2500)], [Some(0), None, None, Some(2), Some(0)]);
    }
}
