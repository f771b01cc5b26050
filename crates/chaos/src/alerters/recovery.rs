//! The time after a kill until the alert log grows again.

use std::{
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use tokio::task::JoinHandle;

/// The interval between two checks of the log.
const POLL_INTERVAL: Duration = Duration::from_millis(20);

/// A watch of the log's length. At every kill a message is due, so the time from a kill to the next line is the time
/// without a sender.
#[derive(Debug)]
pub(super) struct Recovery {
    log: PathBuf,
    seen: Arc<Mutex<Seen>>,
    task: JoinHandle<()>,
}

#[derive(Debug, Default)]
struct Seen {
    /// The time of each kill, and the length of the log then, in bytes.
    kills: Vec<(Instant, u64)>,
    times: Vec<Duration>,
}

impl Recovery {
    /// Starts the watch.
    pub(super) fn watch(log: PathBuf) -> Self {
        let seen = Arc::default();
        let task = tokio::spawn(poll(log.clone(), Arc::clone(&seen)));
        Self { log, seen, task }
    }

    /// Records the kill of an alerter at the current time.
    pub(super) fn killed(&self) {
        with(&self.seen, |seen| seen.kills.push((Instant::now(), length(&self.log))));
    }

    /// Returns the times to recovery so far, shortest first.
    pub(super) fn times(&self) -> Vec<Duration> {
        let mut times = with(&self.seen, |seen| seen.times.clone());
        times.sort_unstable();
        times
    }
}

impl Drop for Recovery {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn poll(log: PathBuf, seen: Arc<Mutex<Seen>>) {
    loop {
        tokio::time::sleep(POLL_INTERVAL).await;
        let length = length(&log);
        with(&seen, |seen| {
            let over = seen.kills.extract_if(.., |(_, before)| *before < length);
            seen.times.extend(over.map(|(when, _)| when.elapsed()));
        });
    }
}

fn length(log: &Path) -> u64 {
    std::fs::metadata(log).map_or(0, |metadata| metadata.len())
}

fn with<T>(seen: &Mutex<Seen>, act: impl FnOnce(&mut Seen) -> T) -> T {
    act(&mut seen.lock().unwrap_or_else(PoisonError::into_inner))
}
