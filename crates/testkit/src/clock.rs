//! The only ways of tests to the clock; `tests/it/clock.rs` sees to that.
//!
//! Times of reports come from [`now`], one reading for each test. What can be seen is waited for
//! by [`crate::TestEnv::until`] or [`wait_until`]. What else is here is for the rest.

use std::{
    cell::OnceCell,
    time::{Duration, Instant},
};

use jiff::{SignedDuration, Timestamp};
use pisync_core::time::in_millis;

/// Lets time pass in a test that is about it: that something does not happen, or a client that is slow.
pub async fn pass(time: Duration) {
    tokio::time::sleep(time).await;
}

/// Begins to measure: for deadlines, and for what has to take its time. It tells no date.
pub fn stopwatch() -> Instant {
    Instant::now()
}

/// The time by one more reading: for what a process has dated just now, and never for a report.
pub fn clock() -> Timestamp {
    Timestamp::now()
}

/// Looks every so often whether a condition is true. Returns whether it was within the timeout.
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

/// The clock of a test, read once, in whole milliseconds: whatever times a test makes of it fit each
/// other, also when the second or the hour ends meanwhile. Each test has a thread of its own.
pub fn now() -> Timestamp {
    NOW.with(|now| *now.get_or_init(|| in_millis(Timestamp::now())))
}

/// A time so many hours before [`now`]; the same in each call of a test.
pub fn hours_ago(hours: i64) -> Timestamp {
    now() - SignedDuration::from_hours(hours)
}
