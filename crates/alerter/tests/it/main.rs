//! The alerter on real servers: its evaluations, and the messages that reach people.
#![expect(clippy::unwrap_used, reason = "a test that finds something else than it expects fails")]

mod alert_config;
mod alerter_hanging;
mod alertmanager;
mod alerts;
mod deliveries;
mod device_labels;
mod fleet_cause;
mod fleet_first;
mod fleet_flapping;
mod fleet_late;
mod fleet_receiver;
mod fleet_scoped;
mod fleet_silent;
mod fleet_silent_part;
mod fleet_window;
mod mail;
mod outbox;
mod ping;
mod receivers;
mod summary;
