//! Concurrent delivery: each worker sends its own bodies, one after the other.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use anyhow::Context;
use indicatif::{ProgressBar, ProgressStyle};
use pisync_core::{models::EventId, shutdown};
use tokio::{
    sync::mpsc::UnboundedSender,
    task::JoinSet,
    time::{Instant, interval, sleep_until},
};
use tokio_util::sync::CancellationToken;

use crate::{
    client::{Outcome, ReportClient},
    config::PostSettings,
    ledger::{Ledger, State},
    stats::{Figures, Stats},
};

/// The number of other events that a worker sends before it sends one again.
const AGAIN_AFTER: usize = 16;

/// The maximum time that a line of the ledger stays in memory.
const FLUSH_INTERVAL: Duration = Duration::from_secs(1);

/// A body to send.
#[derive(Debug, Clone)]
pub struct Job {
    /// The body.
    pub body: String,
    /// Time of sending since the start of the run; `None` for at once.
    pub due: Option<Duration>,
    /// True to send it once more after it was accepted.
    pub again: bool,
    /// The receiver of the acceptance, if any.
    pub watch: Option<Watch>,
}

/// A notification about the acceptance of an event.
#[derive(Debug, Clone)]
pub struct Watch {
    /// The event.
    pub id: EventId,
    /// The channel for the event and the time of its 202.
    pub accepted: UnboundedSender<(EventId, Instant)>,
}

/// The state that all workers share.
struct Drive {
    client: ReportClient,
    ledger: Option<Ledger>,
    bar: ProgressBar,
    stop: CancellationToken,
    started: Instant,
}

/// The result of all jobs.
#[derive(Debug)]
pub struct Driven {
    /// The figures.
    pub figures: Figures,
    /// True if a signal ended the run before all was sent.
    pub stopped: bool,
}

/// Sends the jobs of all workers: workers run concurrently, and the jobs of one worker in order. So a device with one
/// worker reports in order.
///
/// Ends early at SIGTERM or SIGINT. Fails if the ledger cannot be written or a job cannot be read. `expected` is the
/// number of jobs, for the progress bar.
pub async fn drive<L>(settings: &PostSettings, workers: Vec<L>, expected: Option<u64>) -> anyhow::Result<Driven>
where
    L: Iterator<Item = anyhow::Result<Job>> + Send + 'static,
{
    let stop = shutdown::on_signal().context("listening for signals")?;
    let drive = Arc::new(Drive {
        client: ReportClient::new(settings, stop.clone())?,
        ledger: settings.ledger.as_deref().map(Ledger::append_to).transpose()?,
        bar: progress_bar(expected),
        stop,
        started: Instant::now(),
    });
    let mut running: JoinSet<_> = workers.into_iter().map(|worker| Arc::clone(&drive).work(worker)).collect();
    let mut flush = interval(FLUSH_INTERVAL);
    let mut stats = Stats::default();
    loop {
        tokio::select! {
            worker = running.join_next() => match worker {
                Some(worker) => stats.add(worker.context("a worker panicked")??),
                None => break,
            },
            _ = flush.tick() => drive.flush()?,
        }
    }
    let elapsed = drive.started.elapsed();
    drive.flush()?;
    drive.bar.finish_and_clear();
    Ok(Driven { figures: stats.close(elapsed), stopped: drive.stop.is_cancelled() })
}

/// Returns the progress bar, which is drawn on standard error, and only on a terminal.
fn progress_bar(expected: Option<u64>) -> ProgressBar {
    let (bar, template) = match expected {
        Some(expected) => (ProgressBar::new(expected), "{wide_bar} {pos}/{len} events, {per_sec}, {eta} left"),
        None => (ProgressBar::no_length(), "{spinner} {pos} events, {per_sec}"),
    };
    bar.with_style(ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar()))
}

impl Drive {
    async fn work(self: Arc<Self>, jobs: impl Iterator<Item = anyhow::Result<Job>>) -> anyhow::Result<Stats> {
        let mut stats = Stats::default();
        let mut once_more = VecDeque::new();
        for job in jobs {
            let job = job?;
            if !self.is_time(job.due).await {
                return Ok(stats);
            }
            let accepted = self.send(&job.body, &mut stats).await?;
            if let (true, Some(watch)) = (accepted, &job.watch) {
                // A closed channel is no error: its receiver has stopped waiting.
                let _ = watch.accepted.send((watch.id, Instant::now()));
            }
            if accepted && job.again {
                once_more.push_back(job.body);
            }
            if once_more.len() > AGAIN_AFTER
                && let Some(body) = once_more.pop_front()
            {
                stats.count(self.client.deliver(&body).await, true);
            }
        }
        for body in once_more {
            if self.stop.is_cancelled() {
                break;
            }
            stats.count(self.client.deliver(&body).await, true);
        }
        Ok(stats)
    }

    /// Waits for the time of a job. Returns false if the run ends before.
    async fn is_time(&self, due: Option<Duration>) -> bool {
        if let Some(due) = due {
            tokio::select! {
                () = sleep_until(self.started + due) => {}
                () = self.stop.cancelled() => {}
            }
        }
        !self.stop.is_cancelled()
    }

    async fn send(&self, body: &str, stats: &mut Stats) -> anyhow::Result<bool> {
        let delivery = self.client.deliver(body).await;
        let entry = match delivery.outcome {
            Outcome::Accepted { .. } => Some(State::Acked),
            Outcome::Refused { may_be_stored, .. } | Outcome::GaveUp { may_be_stored } => {
                may_be_stored.then_some(State::Unknown)
            }
        };
        if let (Some(ledger), Some(entry)) = (&self.ledger, entry) {
            ledger.write(entry, body)?;
        }
        self.bar.inc(1);
        stats.count(delivery, false);
        Ok(entry == Some(State::Acked))
    }

    fn flush(&self) -> anyhow::Result<()> {
        self.ledger.as_ref().map_or(Ok(()), Ledger::flush)
    }
}
