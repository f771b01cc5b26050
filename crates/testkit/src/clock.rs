//! The clock of tests: no test may read the time or sleep by other means, which `tests/it/clock.rs` checks.
//!
//! A report takes its time from [`now`], which is read once per test. A test waits for a visible state by
//! [`crate::TestEnv::until`] or [`wait_until`]. The other functions are for the remaining cases.

use std::{
    cell::OnceCell,
    time::{Duration, Instant},
};

use jiff::{SignedDuration, Timestamp};
use pisync_core::time::in_millis;

/// Sleeps, in a test about time itself: that nothing happens, or that a client is slow.
pub async fn pass(time: Duration) {
    tokio::time::sleep(time).await;
}

/// Returns the current instant, to measure a deadline or a duration.
pub fn stopwatch() -> Instant {
    Instant::now()
}

/// Returns the current time, by a new reading: to compare with a process's own dates, never for a report.
pub fn clock() -> Timestamp {
    Timestamp::now()
}

/// Polls a condition at an interval. Returns true if it became true within the timeout.
pub async fn wait_until(timeout: Duration, interval: Duration, mut is_true: impl AsyncFnMut() -> bool) -> bool {
    let waited = async {
        while !is_true().await {
            tokio::time::sleep(interval).await;
        }
    };
    tokio::time::timeout(timeout, waited).await.is_ok()
}

thread_local! {
    static NOW: OnceCell<Timestamp> = const { OnceCell::new() };
}

/// Returns the time of a test in whole milliseconds. It is read once, so all times of one test agree even across the
/// end of a second or an hour. Each test has a thread of its own.
pub fn now() -> Timestamp {
    NOW.with(|now| *now.get_or_init(|| in_millis(Timestamp::now())))
}

/// Returns the time so many hours before [`now`]; the same in each call of a test.
pub fn hours_ago(hours: i64) -> Timestamp {
    now() - SignedDuration::from_hours(hours)
}
