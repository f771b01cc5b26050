//! The metrics of `queue-worker`.

use std::time::Duration;

use pisync_core::{
    metrics::{registry_of, seconds},
    models::DeadLetter,
};
use prometheus_client::{
    metrics::{counter::Counter, family::Family, histogram::Histogram},
    registry::Registry,
};

/// The metrics of the worker. A batch counts once, when it is acknowledged.
#[derive(Debug)]
pub struct Metrics {
    sizes: Histogram,
    durations: Histogram,
    stored: Counter,
    duplicates: Counter,
    clock_suspects: Counter,
    recounts: Counter,
    late: Counter,
    not_noted: Counter,
    dead_letters: Family<[(&'static str, String); 1], Counter>,
    redelivered: Counter,
    removed_rows: Counter,
    clock_repeats: Counter,
    /// Batches released because of a message of an unknown version.
    pub(crate) unknown_versions: Counter,
}

/// The result of a batch.
#[derive(Debug, Default)]
pub struct Effect {
    /// The messages that become dead letters.
    pub dead: Vec<DeadLetter>,
    /// The number of new rows.
    pub stored: usize,
    /// The number of stored events with a suspect clock.
    pub clock_suspects: usize,
    /// The number of counters made from their rows.
    pub recounts: usize,
    /// The number of new events older than another of their device.
    pub late: usize,
    /// The number of reports with a suspect clock that repeat an earlier one.
    pub clock_repeats: usize,
    /// The number of devices whose last-seen time was not recorded.
    pub not_noted: usize,
}

impl Metrics {
    /// Returns metrics at zero.
    pub fn new() -> Self {
        Self {
            sizes: Histogram::new([1.0, 3.0, 10.0, 30.0, 100.0, 300.0, 1_000.0, 3_000.0, 10_000.0]),
            durations: seconds(),
            stored: Counter::default(),
            duplicates: Counter::default(),
            clock_suspects: Counter::default(),
            recounts: Counter::default(),
            late: Counter::default(),
            not_noted: Counter::default(),
            dead_letters: Family::default(),
            redelivered: Counter::default(),
            removed_rows: Counter::default(),
            clock_repeats: Counter::default(),
            unknown_versions: Counter::default(),
        }
    }

    /// Counts rows removed for their age.
    pub(crate) fn removed(&self, rows: u64) {
        self.removed_rows.inc_by(rows);
    }

    /// Counts the messages of a redelivered batch: its worker died or released it.
    pub(crate) fn redelivered(&self, messages: usize) {
        self.redelivered.inc_by(messages as u64);
    }

    /// Counts a finished batch of `messages` messages.
    pub(crate) fn finished(&self, messages: usize, effect: &Effect, duration: Duration) {
        #[expect(clippy::cast_precision_loss, reason = "a batch has at most 10,000 messages")]
        self.sizes.observe(messages as f64);
        self.durations.observe(duration.as_secs_f64());
        self.stored.inc_by(effect.stored as u64);
        self.duplicates.inc_by(messages.saturating_sub(effect.stored + effect.dead.len()) as u64);
        self.clock_suspects.inc_by(effect.clock_suspects as u64);
        self.clock_repeats.inc_by(effect.clock_repeats as u64);
        self.recounts.inc_by(effect.recounts as u64);
        self.late.inc_by(effect.late as u64);
        self.not_noted.inc_by(effect.not_noted as u64);
        for letter in &effect.dead {
            self.dead_letters.get_or_create(&[("reason", letter.reason.to_string())]).inc();
        }
    }

    /// Returns the registry of this process's metrics.
    pub fn registry(&self) -> Registry {
        let mut registry = registry_of(env!("CARGO_PKG_VERSION"));
        registry.register("batch_events", "Messages in a finished batch", self.sizes.clone());
        registry.register(
            "batch_duration_seconds",
            "Time from the claim of a batch to its acknowledgement",
            self.durations.clone(),
        );
        registry.register("stored", "New rows written", self.stored.clone());
        registry.register("duplicates", "Events whose row already existed", self.duplicates.clone());
        registry.register("clock_suspects", "Events with a suspect clock", self.clock_suspects.clone());
        registry.register(
            "recounts",
            "Counters made from their rows, because an event was late or a duplicate",
            self.recounts.clone(),
        );
        registry.register("late", "New events older than another of their device", self.late.clone());
        registry.register(
            "devices_not_noted",
            "Last-seen times not recorded, because the maximum number of devices is tracked",
            self.not_noted.clone(),
        );
        registry.register("dead_letters", "Dead letters, by reason", self.dead_letters.clone());
        registry.register("redelivered", "Messages in redelivered batches", self.redelivered.clone());
        registry.register(
            "clock_repeats",
            "Reports without a report id, with a suspect clock, that repeat the time and content of an earlier one",
            self.clock_repeats.clone(),
        );
        registry.register(
            "unknown_version_batches",
            "Batches released, because a message is of a version unknown to this worker",
            self.unknown_versions.clone(),
        );
        registry.register("removed_rows", "Rows removed for their age", self.removed_rows.clone());
        registry
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}
