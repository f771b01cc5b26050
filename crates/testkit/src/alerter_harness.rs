//! An alerter within the test's process, ticked by the test at a time that the test gives.

use std::time::Duration;

use alerter::{
    messages::Links,
    outbox::Outbox,
    receivers::log::AlertLog,
    routing::{Routing, RoutingFile},
    tick::Alerter,
    tick_reporter::TickReporter,
};
use anyhow::ensure;
use jiff::Timestamp;
use pisync_core::{crash::CrashSettings, models::DeviceId};

use crate::test_env::TestEnv;

/// The lease of a claimed message: time until another sender may claim it.
const LEASE: Duration = Duration::from_secs(30);

/// An alerter with its outbox, within this process. It writes to `alerts.log`.
#[derive(Debug)]
pub struct AlerterHarness {
    alerter: Alerter,
    reporter: TickReporter,
    outbox: Outbox,
}

impl AlerterHarness {
    /// Returns an alerter on the servers of `env`, without a config.
    pub async fn new(env: &TestEnv) -> anyhow::Result<Self> {
        Self::with(env, "").await
    }

    /// Returns an alerter with this config, in TOML.
    pub async fn with(env: &TestEnv, config: &str) -> anyhow::Result<Self> {
        let (store, crash) = (env.store().await, CrashSettings::default());
        store.ensure_indexes().await?;
        std::fs::write(env.path("alerts.toml"), config)?;
        let config = RoutingFile::read(&env.path("alerts.toml"))?;
        let receivers = Routing::new(AlertLog::open(&env.path("alerts.log"))?, Links::default(), config);
        let alerter = Alerter::new(store.clone(), env.queue(), 3, receivers.clone(), crash.clone());
        let reporter = TickReporter::new(env.queue(), "* * * * *".parse()?, receivers.clone());
        let outbox = Outbox::new(store, receivers, LEASE, crash, alerter.metrics.clone())?;
        Ok(Self { alerter, reporter, outbox })
    }

    /// Evaluates the whole fleet as of `now`.
    pub async fn tick_at(&self, now: Timestamp) -> anyhow::Result<()> {
        self.alerter.tick_at(now).await?;
        self.reporter.clone().ticked().await;
        Ok(())
    }

    /// Evaluates these devices, as after a hint.
    pub async fn evaluate(&self, devices: &[DeviceId]) -> anyhow::Result<()> {
        self.alerter.evaluate(devices).await?;
        Ok(())
    }

    /// Sends all due messages. Fails if one of them was not delivered.
    pub async fn deliver(&self) -> anyhow::Result<()> {
        ensure!(self.try_to_deliver().await? == 0, "a message was not delivered");
        Ok(())
    }

    /// Sends all due messages. Returns the number of messages that were not delivered.
    pub async fn try_to_deliver(&self) -> anyhow::Result<usize> {
        Ok(self.outbox.deliver().await?.failed)
    }
}
