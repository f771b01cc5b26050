//! The promises of the system, each as a journey that would fail if it were broken.
#![expect(clippy::unwrap_used, reason = "a test that finds something else than it expects fails")]

mod alert_config;
mod alertmanager;
mod alerts;
mod auth;
mod bad_input;
mod batch;
mod dead_letters;
mod deliveries;
mod docs;
mod effect;
mod explain;
mod faults;
mod fleet_first;
mod fleet_silent;
mod fleet_window;
mod hours;
mod http;
mod limits;
mod mail;
mod map;
mod metrics;
mod openapi;
mod pipeline;
mod queue_model;
mod reads;
mod reads_devices;
mod receivers;
mod seen;
mod settings;
mod tls;
mod world;
