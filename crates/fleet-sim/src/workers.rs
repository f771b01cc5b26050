//! Many bodies at once: each worker sends its own, one after the other, until all workers are through.

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

/// How many other events a worker sends before one that is sent again.
const AGAIN_AFTER: usize = 16;

/// How long a line of the ledger may stay in memory.
const FLUSH_INTERVAL: Duration = Duration::from_secs(1);

/// A body to send.
#[derive(Debug, Clone)]
pub struct Job {
    /// The body.
    pub body: String,
    /// When to send it, after the beginning; at once where it is none.
    pub due: Option<Duration>,
    /// Whether to send it once more after it was accepted.
    pub again: bool,
    /// Who is told once it was accepted.
    pub watch: Option<Watch>,
}

/// Tells that an event was accepted, and when.
#[derive(Debug, Clone)]
pub struct Watch {
    /// The event.
    pub id: EventId,
    /// Who waits for it.
    pub accepted: UnboundedSender<(EventId, Instant)>,
}

/// What all workers share.
struct Drive {
    client: ReportClient,
    ledger: Option<Ledger>,
    bar: ProgressBar,
    stop: CancellationToken,
    started: Instant,
}

/// What became of all jobs.
#[derive(Debug)]
pub struct Driven {
    /// In numbers.
    pub figures: Figures,
    /// Whether a signal ended it before all was sent.
    pub stopped: bool,
}

/// Sends the jobs of all workers, workers at the same time and the jobs of one worker in their order,
/// so that a device that keeps to its worker reports in order.
///
/// Ends early at SIGTERM or SIGINT. Fails where the ledger cannot be written or a worker cannot be
/// read. `expected` is the number of jobs, for the progress bar.
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
                Some(worker) => stats.add(worker.context("a worker broke down")??),
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

/// Drawn on a terminal only, on standard error.
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
                // Whoever has stopped to wait need not know.
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

    /// Waits for the time of a job. False: it never comes, everything is to end.
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
        let state = match delivery.outcome {
            Outcome::Accepted { .. } => Some(State::Acked),
            Outcome::Refused { may_be_stored, .. } | Outcome::GaveUp { may_be_stored } => {
                may_be_stored.then_some(State::Unknown)
            }
        };
        if let (Some(ledger), Some(state)) = (&self.ledger, state) {
            ledger.write(state, body)?;
        }
        self.bar.inc(1);
        stats.count(delivery, false);
        Ok(state == Some(State::Acked))
    }

    fn flush(&self) -> anyhow::Result<()> {
        self.ledger.as_ref().map_or(Ok(()), Ledger::flush)
    }
}
