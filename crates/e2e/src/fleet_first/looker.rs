//! An alerter that looks when it is told to, at the time that it is told.

use std::time::Duration;

use alerter::{
    outbox::Outbox,
    receivers::{Receivers, log::AlertLog},
    tick::Alerter,
};
use anyhow::ensure;
use jiff::Timestamp;
use pisync_core::{crash::CrashSettings, models::DeviceId};

use crate::env::TestEnv;

/// How long a message is left to a sender that died.
const LEASE: Duration = Duration::from_secs(30);

/// An alerter with its outbox, within this process; it writes to `alerts.log`.
#[derive(Debug)]
pub struct Looker {
    alerter: Alerter,
    outbox: Outbox,
}

impl Looker {
    /// An alerter on the servers of a world.
    pub async fn new(env: &TestEnv) -> anyhow::Result<Self> {
        let (store, crash) = (env.store().await, CrashSettings::default());
        store.ensure_indexes().await?;
        let receivers = Receivers::log_only(AlertLog::open(&env.path("alerts.log"))?);
        let alerter = Alerter::new(store.clone(), env.queue(), 3, receivers.clone(), crash.clone());
        let outbox = Outbox::new(store, receivers, LEASE, crash, alerter.metrics().clone())?;
        Ok(Self { alerter, outbox })
    }

    /// Looks at everything at a time.
    pub async fn tick_at(&self, now: Timestamp) -> anyhow::Result<()> {
        self.alerter.tick_at(now).await?;
        Ok(())
    }

    /// Looks at these devices, as after a hint.
    pub async fn look_at(&self, devices: &[DeviceId]) -> anyhow::Result<()> {
        self.alerter.look_at(devices).await?;
        Ok(())
    }

    /// Sends what is due.
    pub async fn deliver(&self) -> anyhow::Result<()> {
        ensure!(self.outbox.deliver().await?.failed == 0, "a message was not delivered");
        Ok(())
    }
}
