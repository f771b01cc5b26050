//! How long the alert log stands still after a kill.

use std::{
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use tokio::task::JoinHandle;

/// How often the log is looked at.
const POLL_INTERVAL: Duration = Duration::from_millis(20);

/// Watches the length of the log. Something waits to be told at every kill, so the time from a
/// kill to the next line is the time without a sender.
#[derive(Debug)]
pub(super) struct Recovery {
    log: PathBuf,
    seen: Arc<Mutex<Seen>>,
    task: JoinHandle<()>,
}

#[derive(Debug, Default)]
struct Seen {
    /// When something was killed, and how long the log was then.
    kills: Vec<(Instant, u64)>,
    times: Vec<Duration>,
}

impl Recovery {
    /// Starts watching.
    pub(super) fn watch(log: PathBuf) -> Self {
        let seen = Arc::default();
        let task = tokio::spawn(look(log.clone(), Arc::clone(&seen)));
        Self { log, seen, task }
    }

    /// Takes note that an alerter was killed just now.
    pub(super) fn killed(&self) {
        with(&self.seen, |seen| seen.kills.push((Instant::now(), length(&self.log))));
    }

    /// The times to recovery so far, shortest first.
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

async fn look(log: PathBuf, seen: Arc<Mutex<Seen>>) {
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
