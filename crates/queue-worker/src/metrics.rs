//! What `queue-worker` counts.

use std::time::Duration;

use pisync_core::{
    metrics::{registry_of, seconds},
    models::DeadLetter,
};
use prometheus_client::{
    metrics::{counter::Counter, family::Family, histogram::Histogram},
    registry::Registry,
};

/// What is counted, batch by batch: when a batch is acknowledged, so that each counts once.
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
    /// Batches given back for a message of a version that is not known here.
    pub(crate) unknown_versions: Counter,
}

/// What a batch came to.
#[derive(Debug, Default)]
pub struct Effect {
    /// The messages to bury.
    pub dead: Vec<DeadLetter>,
    /// Rows that were not there before.
    pub stored: usize,
    /// Events that have a row whose clock was not believed.
    pub clock_suspects: usize,
    /// Devices whose counter had to be made from their rows.
    pub recounts: usize,
    /// New events that came after a newer one of their device.
    pub late: usize,
    /// Reports of a clock that is not believed which repeated an earlier one.
    pub clock_repeats: usize,
    /// Devices of which it was not noted that they were heard of.
    pub not_noted: usize,
}

impl Metrics {
    /// Nothing counted yet.
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

    /// Notes that rows were removed for their age.
    pub(crate) fn removed(&self, rows: u64) {
        self.removed_rows.inc_by(rows);
    }

    /// Notes that a batch was handed out whose worker had died or given it back.
    pub(crate) fn redelivered(&self, messages: usize) {
        self.redelivered.inc_by(messages as u64);
    }

    /// Notes a batch of so many messages that was finished.
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

    /// What this process has counted.
    pub fn registry(&self) -> Registry {
        let mut registry = registry_of(env!("CARGO_PKG_VERSION"));
        registry.register("batch_events", "Messages in a finished batch", self.sizes.clone());
        registry.register(
            "batch_duration_seconds",
            "Time from the claim of a batch to its acknowledgement",
            self.durations.clone(),
        );
        registry.register("stored", "Rows written that were not there before", self.stored.clone());
        registry.register("duplicates", "Events whose row was there already", self.duplicates.clone());
        registry.register("clock_suspects", "Events with a clock that was not believed", self.clock_suspects.clone());
        registry.register(
            "recounts",
            "Counters made from their rows, since an event was late or a duplicate",
            self.recounts.clone(),
        );
        registry.register("late", "New events that came after a newer one of their device", self.late.clone());
        registry.register(
            "devices_not_noted",
            "Times that a device's last word was not noted, since as many devices as may be are known",
            self.not_noted.clone(),
        );
        registry.register("dead_letters", "Messages buried, by reason", self.dead_letters.clone());
        registry.register("redelivered", "Messages in batches handed out once more", self.redelivered.clone());
        registry.register(
            "clock_repeats",
            "Reports without a report id that a clock which is not believed gave the time and content of an earlier one",
            self.clock_repeats.clone(),
        );
        registry.register(
            "unknown_version_batches",
            "Batches given back, since a message is of a version that this worker does not know",
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
