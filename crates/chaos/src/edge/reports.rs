//! The reports of devices beside an attack: fifty a second, each with a timeout.

use std::{
    thread,
    time::{Duration, Instant},
};

use anyhow::Context;
use reqwest::Client;
use testkit::{body, hours_ago};
use tokio::{runtime::Builder, sync::oneshot, task::JoinSet};
use tokio_util::sync::CancellationToken;

use crate::table::percentile;

/// The interval between two reports.
const INTERVAL: Duration = Duration::from_millis(20);

/// The timeout of a report.
const TIMEOUT: Duration = Duration::from_secs(5);

/// Devices that report.
pub(super) struct Reports {
    sent: oneshot::Receiver<Sent>,
    stop: CancellationToken,
}

/// The results of the reports.
#[derive(Debug, Default)]
pub(super) struct Sent {
    pub(super) accepted: usize,
    pub(super) refused: usize,
    /// The number of reports without an answer in time.
    pub(super) failed: usize,
    /// The duration of each report, whatever its result, shortest first.
    pub(super) times: Vec<Duration>,
}

impl Reports {
    /// Starts the devices on a thread of their own. On a shared one they would also measure this process's own delays
    /// beside thousands of attackers.
    ///
    /// Fails if no thread can be started.
    pub(super) fn start(url: &str, key: Option<String>) -> anyhow::Result<Self> {
        let (stop, url) = (CancellationToken::new(), format!("{url}/api/sync-event"));
        let (stopped, (done, sent)) = (stop.clone(), oneshot::channel());
        let runtime = Builder::new_current_thread().enable_all().build().context("a thread for the reports")?;
        thread::spawn(move || done.send(runtime.block_on(send(url, key, stopped))));
        Ok(Self { sent, stop })
    }

    pub(super) async fn end(self) -> Sent {
        self.stop.cancel();
        let mut sent = self.sent.await.unwrap_or_default();
        sent.times.sort_unstable();
        sent
    }
}

impl Sent {
    /// Returns the 99th percentile of the durations, in seconds; infinity without reports.
    pub(super) fn p99(&self) -> f64 {
        percentile(&self.times, 99).unwrap_or(f64::INFINITY)
    }
}

async fn send(url: String, key: Option<String>, stop: CancellationToken) -> Sent {
    // Each report has a connection of its own, as of a device that connects anew.
    let client = Client::builder().timeout(TIMEOUT).pool_max_idle_per_host(0).build().unwrap_or_default();
    let (mut sending, mut device) = (JoinSet::new(), 0_u32);
    let mut ticks = tokio::time::interval(INTERVAL);
    while !stop.is_cancelled() {
        ticks.tick().await;
        device += 1;
        let report = body(&format!("beside-{device}"), hours_ago(1), false);
        let request = client.post(&url).json(&report);
        let request = match &key {
            Some(key) => request.bearer_auth(key),
            None => request,
        };
        sending.spawn(async move {
            let start = Instant::now();
            let status = request.send().await.ok().map(|answer| answer.status().as_u16());
            (status, start.elapsed())
        });
    }
    let mut sent = Sent::default();
    while let Some(Ok((status, took))) = sending.join_next().await {
        match status {
            Some(202) => sent.accepted += 1,
            Some(_) => sent.refused += 1,
            None => sent.failed += 1,
        }
        sent.times.push(took);
    }
    sent
}
