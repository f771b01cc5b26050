//! The environment of one row: devices whose counters fail and recover, and alerters.

use std::{
    collections::{HashMap, HashSet},
    path::Path,
    time::Duration,
};

use anyhow::{Context, ensure};
use fastrand::Rng;
use jiff::{SignedDuration, Timestamp};
use pisync_core::{
    models::{AlertState, DeviceId, FailureCounter, FailureRun, Incident},
    queue::Hints,
    store::{AlertFilter, Revision, Saved, Store},
};
use testkit::{FakeReceiver, Service, TestEnv};
use tokio::time::sleep;

use super::{
    alert_log::{AlertLog, DeviceOutcome, Faults, faults_of},
    recovery::Recovery,
    verdict::{Findings, Outcome},
    webhook::{self, Posts},
};
use crate::{play::keep_logs, settings::Scale};

/// The interval between two checks for due messages.
const POLL_INTERVAL: Duration = Duration::from_millis(250);

/// The number of counters in one save, and of hints in one push.
const BATCH_SIZE: usize = 1_000;

/// The number of further ticks at the end, which must repeat no message.
const LAST_TICKS: usize = 2;

/// The environment of one row. Its processes are killed when it is dropped.
#[derive(Debug)]
pub(super) struct World {
    /// The size of the row.
    pub(super) scale: Scale,
    /// The source of the row's random choices.
    pub(super) rng: Rng,
    /// The times without a sender.
    pub(super) recovery: Recovery,
    /// The running alerters.
    pub(super) alerters: Vec<Service>,
    env: TestEnv,
    store: Store,
    hints: Hints,
    devices: Vec<Device>,
    log: AlertLog,
    webhook: FakeReceiver,
    /// The config of the alerters, if they have one.
    config: Option<String>,
    started: usize,
}

#[derive(Debug, Clone)]
struct Device {
    id: DeviceId,
    outcome: DeviceOutcome,
    is_well: bool,
}

impl World {
    /// Returns an environment without failing devices and without alerters.
    pub(super) async fn begin(scale: Scale, seed: u64) -> anyhow::Result<Self> {
        let env = TestEnv::new();
        let store = env.store().await;
        store.ensure_indexes().await?;
        let (hints, path) = (Hints::new(env.queue()), env.path("alerts.log"));
        let (recovery, log) = (Recovery::watch(path.clone()), AlertLog::new(path));
        let webhook = FakeReceiver::start().await;
        std::fs::write(env.path("alerts.toml"), webhook::config(&webhook))?;
        let (rng, alerters, devices) = (Rng::with_seed(seed), Vec::new(), Vec::new());
        Ok(Self { scale, rng, recovery, alerters, env, store, hints, devices, log, webhook, config: None, started: 0 })
    }

    /// Returns a random duration from `least` to `most` milliseconds.
    pub(super) fn some_ms(&mut self, least: u64, most: u64) -> Duration {
        Duration::from_millis(self.rng.u64(least..=most))
    }

    /// Starts an alerter with the webhook as receiver, and waits until it watches.
    pub(super) async fn start_alerter(&mut self, args: &[&str]) {
        let config = self.env.path("alerts.toml").display().to_string();
        self.start("alerter", &[&["--config", &config], args].concat()).await;
        self.config = Some(config);
    }

    /// Starts an alerter and waits until it watches.
    pub(super) async fn start(&mut self, binary: &str, args: &[&str]) {
        self.started += 1;
        let (log, lines) = (format!("{:02}-{binary}.log", self.started), self.env.path("alerts.log"));
        let lines = lines.display().to_string();
        let mut alerter = self.env.start(&log, binary, &[&["--alert-log", &lines], args].concat());
        alerter.says("watching").await;
        self.alerters.push(alerter);
    }

    /// Stops all alerters. One may die at its point on the way.
    pub(super) async fn stop_alerters(&mut self) {
        for mut alerter in self.alerters.drain(..) {
            alerter.terminate().await;
        }
    }

    /// Lets the next devices fail: one of `slices` equal parts of the row's incidents. The flickering ones recover
    /// within a second.
    pub(super) async fn fail_a_slice(&mut self, slices: usize) -> anyhow::Result<()> {
        let first = self.devices.len();
        let count = self.scale.incidents.div_ceil(slices).min(self.scale.incidents - first);
        for number in first..first + count {
            self.devices.push(Device::new(number)?);
        }
        let new: Vec<_> = (first..first + count).collect();
        self.save(&new).await?;
        self.hint(&new).await?;
        sleep(self.some_ms(0, 400)).await;
        // Each alerter may evaluate each device.
        self.hint(&new).await?;
        let flickers = |at: &usize| self.devices[*at].outcome == DeviceOutcome::Flickers;
        let flickers: Vec<_> = new.iter().copied().filter(flickers).collect();
        sleep(self.some_ms(0, 300)).await;
        self.recover(&flickers).await
    }

    /// Reads the new lines and lets the devices with a line recover. Returns true if there were any.
    pub(super) async fn recover_notified(&mut self) -> anyhow::Result<bool> {
        self.log.read_on().context("reading the alert log")?;
        let is_due = |device: &Device| {
            device.outcome == DeviceOutcome::Recovers && !device.is_well && self.log.has_line_of(device.id.as_str())
        };
        let due: Vec<_> = (0..self.devices.len()).filter(|at| is_due(&self.devices[*at])).collect();
        self.recover(&due).await?;
        Ok(!due.is_empty())
    }

    async fn recover(&mut self, which: &[usize]) -> anyhow::Result<()> {
        for at in which {
            self.devices[*at].is_well = true;
        }
        self.save(which).await?;
        self.hint(which).await
    }

    async fn save(&self, which: &[usize]) -> anyhow::Result<()> {
        for some in which.chunks(BATCH_SIZE) {
            let counters: Vec<_> = some.iter().map(|at| self.devices[*at].counter()).collect();
            let saved = self.store.failure_counters().save(&counters, &HashMap::new()).await?;
            ensure!(saved == Saved::All, "a counter was changed by another");
        }
        Ok(())
    }

    async fn hint(&self, which: &[usize]) -> anyhow::Result<()> {
        let devices: Vec<_> = which.iter().map(|at| self.devices[*at].id.clone()).collect();
        Ok(self.hints.leave(&devices).await?)
    }

    /// Waits until the store has no message to send, and all incidents have the expected state.
    async fn quiet(&mut self) -> anyhow::Result<()> {
        while self.recover_notified().await? || self.unsettled().await? > 0 {
            sleep(POLL_INTERVAL).await;
        }
        Ok(())
    }

    async fn incidents(&self) -> anyhow::Result<Vec<Incident>> {
        Ok(self.store.alerts().list(&AlertFilter::default(), None, u32::MAX - 1).await?.found)
    }

    /// Returns the number of alerts that the webhook should have received, by the store.
    async fn posted(&self) -> anyhow::Result<u64> {
        let all = self.incidents().await?;
        let sent = all.iter().filter_map(|incident| incident.sent_to(webhook::NAME));
        Ok(sent.map(|sent| 1 + u64::from(sent.is_resolved)).sum())
    }

    /// Returns the number of devices with another state in the store than expected, and of incidents with messages to
    /// send.
    async fn unsettled(&self) -> anyhow::Result<u64> {
        let all = self.incidents().await?;
        let waiting = all.iter().filter(|incident| !incident.outbox.is_empty()).count();
        let open = all.iter().filter(|incident| incident.alert.state == AlertState::Firing);
        let open: HashSet<_> = open.filter_map(|incident| incident.alert.device_id()).collect();
        let failing: HashSet<_> =
            self.devices.iter().filter(|device| !device.is_well).map(|device| &device.id).collect();
        Ok((waiting + open.symmetric_difference(&failing).count()) as u64)
    }

    /// Ends the row: waits until all messages are sent, ticks again, and compares the log.
    pub(super) async fn finish(&mut self, kills: usize) -> anyhow::Result<Outcome> {
        ensure!(self.devices.len() == self.scale.incidents, "only {} devices failed", self.devices.len());
        self.quiet().await?;
        self.stop_alerters().await;
        for _ in 0..LAST_TICKS {
            self.tick_once().await?;
        }
        self.log.read_on().context("reading the alert log")?;
        let mut faults = Faults::default();
        for device in &self.devices {
            faults += faults_of(self.log.of(device.id.as_str()), device.outcome, device.is_well);
        }
        let (incidents, unsettled) = (self.devices.len() as u64, self.unsettled().await?);
        let (posts, owed) = (Posts::to(&self.webhook)?, self.posted().await?);
        let findings = Findings { incidents, faults, torn: self.log.torn, unsettled, posts, owed };
        Ok(Outcome { findings, kills, recovery: self.recovery.times() })
    }

    async fn tick_once(&self) -> anyhow::Result<()> {
        let lines = self.env.path("alerts.log").display().to_string();
        let mut command = self.env.command("alerter", &["--once", "--alert-log", &lines]);
        command.args(self.config.iter().flat_map(|config| ["--config", config]));
        let output = command.kill_on_drop(true).output().await.context("starting alerter --once")?;
        ensure!(output.status.success(), "alerter --once: {}", String::from_utf8_lossy(&output.stderr));
        Ok(())
    }

    /// Ends all processes and removes the data; the logs are copied to `keep` first.
    pub(super) async fn teardown(self, row: &str, keep: Option<&Path>) {
        let Self { recovery, alerters, env, .. } = self;
        drop((alerters, recovery));
        if let Some(keep) = keep {
            keep_logs(&env.path(""), keep, row);
        }
        env.remove().await;
    }
}

impl Device {
    /// Of ten devices, one flickers and four recover.
    fn new(number: usize) -> anyhow::Result<Self> {
        let outcome = match number % 10 {
            0 => DeviceOutcome::Flickers,
            1..=4 => DeviceOutcome::Recovers,
            _ => DeviceOutcome::Fails,
        };
        Ok(Self { id: DeviceId::parse(&format!("box-{number:06}"))?, outcome, is_well: false })
    }

    /// Returns the counter to save and its revision before. A counter fails once and recovers once.
    fn counter(&self) -> (FailureCounter, Revision) {
        let now = Timestamp::now();
        let counter = FailureCounter::new(self.id.clone());
        if self.is_well {
            let well = FailureCounter { last_success_at: Some(now), watermark: Some(now), ..counter };
            return (well, Revision::At(1));
        }
        let since = now - SignedDuration::from_mins(20);
        let run = Some(FailureRun { count: 3, since, last_at: now, last_speed: 1.0 });
        (FailureCounter { run, watermark: Some(now), ..counter }, Revision::Unset)
    }
}
