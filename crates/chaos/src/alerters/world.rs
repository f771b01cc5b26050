//! The world of one row: devices whose counters fail and recover, and the alerters that watch
//! them.

use std::{collections::HashSet, path::Path, time::Duration};

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

/// How often it is looked whether all was told.
const POLL_INTERVAL: Duration = Duration::from_millis(250);

/// How many counters are saved, and hints left, at once.
const BATCH_SIZE: usize = 1_000;

/// How many looks there are at the end at what must not be told once more.
const LAST_TICKS: usize = 2;

/// The world of one row. All processes in it are killed when it is dropped.
#[derive(Debug)]
pub(super) struct World {
    /// How large the row is.
    pub(super) scale: Scale,
    /// The random choices of the row.
    pub(super) rng: Rng,
    /// How long the log stands still.
    pub(super) recovery: Recovery,
    /// The alerters that watch.
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
    /// Nobody fails yet, and nobody watches.
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

    /// A random duration from `least` to `most` milliseconds.
    pub(super) fn some_ms(&mut self, least: u64, most: u64) -> Duration {
        Duration::from_millis(self.rng.u64(least..=most))
    }

    /// Starts an alerter that tells the webhook too, and waits until it watches.
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

    /// Another slice of the fleet begins to fail, so many in all rows, of which `slices` are the
    /// whole. Those that flicker are well again at some moment soon.
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
        // Each of the alerters may get to look at each device.
        self.hint(&new).await?;
        let flickers = |at: &usize| self.devices[*at].outcome == DeviceOutcome::Flickers;
        let flickers: Vec<_> = new.iter().copied().filter(flickers).collect();
        sleep(self.some_ms(0, 300)).await;
        self.recover(&flickers).await
    }

    /// Reads what was told since, and lets devices recover of which it was told; whether there
    /// are any.
    pub(super) async fn recover_told(&mut self) -> anyhow::Result<bool> {
        self.log.read_on().context("reading the alert log")?;
        let is_due = |device: &Device| {
            device.outcome == DeviceOutcome::Recovers && !device.is_well && self.log.has_told(device.id.as_str())
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
            let saved = self.store.failure_counters().save(&counters).await?;
            ensure!(saved == Saved::All, "a counter was changed by another");
        }
        Ok(())
    }

    async fn hint(&self, which: &[usize]) -> anyhow::Result<()> {
        let devices: Vec<_> = which.iter().map(|at| self.devices[*at].id.clone()).collect();
        Ok(self.hints.leave(&devices).await?)
    }

    /// Waits until the store knows of nothing that is still to be told, and no incident is as it
    /// should not be.
    async fn quiet(&mut self) -> anyhow::Result<()> {
        while self.recover_told().await? || self.unsettled().await? > 0 {
            sleep(POLL_INTERVAL).await;
        }
        Ok(())
    }

    async fn incidents(&self) -> anyhow::Result<Vec<Incident>> {
        Ok(self.store.alerts().list(&AlertFilter::default(), None, u32::MAX - 1).await?.found)
    }

    /// How many alerts the webhook must have been told of, by what the store knows.
    async fn posted(&self) -> anyhow::Result<u64> {
        let all = self.incidents().await?;
        let told = all.iter().filter_map(|incident| incident.told(webhook::NAME));
        Ok(told.map(|told| 1 + u64::from(told.is_resolved)).sum())
    }

    /// How many devices have another state in the store than they should, or a message that still
    /// has to leave.
    async fn unsettled(&self) -> anyhow::Result<u64> {
        let all = self.incidents().await?;
        let waiting = all.iter().filter(|incident| !incident.outbox.is_empty()).count();
        let open = all.iter().filter(|incident| incident.alert.state == AlertState::Firing);
        let open: HashSet<_> = open.filter_map(|incident| incident.alert.device_id()).collect();
        let failing: HashSet<_> =
            self.devices.iter().filter(|device| !device.is_well).map(|device| &device.id).collect();
        Ok((waiting + open.symmetric_difference(&failing).count()) as u64)
    }

    /// Ends the row: all was told, nobody has anything to add, and the log is compared.
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

    /// Takes everything down; the logs are copied to `keep` first.
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
    /// Of ten, one flickers and four recover.
    fn new(number: usize) -> anyhow::Result<Self> {
        let outcome = match number % 10 {
            0 => DeviceOutcome::Flickers,
            1..=4 => DeviceOutcome::Recovers,
            _ => DeviceOutcome::Fails,
        };
        Ok(Self { id: DeviceId::parse(&format!("box-{number:06}"))?, outcome, is_well: false })
    }

    /// What its counter is to be, and what it was before. It fails once and recovers once.
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
