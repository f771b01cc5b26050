//! The metrics of `alerter`.

use std::time::Duration;

use jiff::Timestamp;
use pisync_core::{
    metrics::{registry_of, seconds},
    store::{Store, StoreError},
};
use prometheus_client::{
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram},
    registry::Registry,
};

use crate::notification::Delivery;

/// A metric with one label.
type By<M> = Family<[(&'static str, &'static str); 1], M>;

/// The metrics. Cheap to clone; clones count together.
#[derive(Debug, Clone)]
pub struct Metrics {
    last_tick: Gauge,
    tick_durations: Histogram,
    devices: By<Gauge>,
    alerts: By<Gauge>,
    notifications: By<Counter>,
}

impl Default for Metrics {
    /// Returns metrics at zero.
    fn default() -> Self {
        let notifications = By::<Counter>::default();
        for result in ["sent", "retried", "dead"] {
            // There from the start: a rate needs the 0.
            drop(notifications.get_or_create(&[("result", result)]));
        }
        Self {
            last_tick: Gauge::default(),
            tick_durations: seconds(),
            devices: By::default(),
            alerts: By::default(),
            notifications,
        }
    }
}

impl Metrics {
    /// Records a completed tick and its duration.
    pub(crate) fn ticked(&self, duration: Duration) {
        self.last_tick.set(Timestamp::now().as_second());
        self.tick_durations.observe(duration.as_secs_f64());
    }

    /// Returns the time of the last completed tick, if there was one.
    pub fn last_tick(&self) -> Option<Timestamp> {
        Timestamp::from_second(self.last_tick.get()).ok().filter(|last| *last != Timestamp::UNIX_EPOCH)
    }

    /// Sets the number of failing devices and of firing alerts, from the indexes of the store.
    pub(crate) async fn update_gauges(&self, store: &Store, threshold: i32) -> Result<(), StoreError> {
        let failing = store.failure_counters().count_failing(threshold).await?;
        let firing = store.alerts().count_open().await?;
        for (family, label, count) in
            [(&self.devices, ("status", "failing"), failing), (&self.alerts, ("state", "firing"), firing)]
        {
            family.get_or_create(&[label]).set(i64::try_from(count).unwrap_or(i64::MAX));
        }
        Ok(())
    }

    /// Counts the result of an attempt to deliver a message.
    pub(crate) fn delivered(&self, delivery: &Delivery) {
        let result = match delivery {
            Delivery::Sent => "sent",
            Delivery::Again { .. } => "retried",
            Delivery::Dead { .. } => "dead",
        };
        self.notifications.get_or_create(&[("result", result)]).inc();
    }

    /// Returns the registry of this process's metrics.
    pub fn registry(&self) -> Registry {
        let mut registry = registry_of(env!("CARGO_PKG_VERSION"));
        registry.register("devices", "Devices by status, at the last tick", self.devices.clone());
        registry.register("alerts", "Alerts by state, at the last tick", self.alerts.clone());
        registry.register("notifications", "Attempts to deliver a message, by result", self.notifications.clone());
        registry.register(
            "alerter_last_tick_timestamp_seconds",
            "Time of the last completed tick; 0 before the first",
            self.last_tick.clone(),
        );
        registry.register("alerter_tick_duration_seconds", "Duration of a tick", self.tick_durations.clone());
        registry
    }
}
