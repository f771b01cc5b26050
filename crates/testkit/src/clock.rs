//! The only ways of tests to the clock; `tests/it/clock.rs` sees to that.
//!
//! Times of reports come from [`crate::now`], one reading for each test. What can be seen is waited for
//! by [`crate::TestEnv::until`]. What is here is for the rest.

use std::time::{Duration, Instant};

use jiff::Timestamp;

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
