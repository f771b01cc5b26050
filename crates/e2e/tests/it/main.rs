//! The promises of the system, each as a journey that would fail if it were broken.
#![expect(clippy::unwrap_used, reason = "a test that finds something else than it expects fails")]

mod alerts;
mod bad_input;
mod batch;
mod dead_letters;
mod docs;
mod effect;
mod faults;
mod http;
mod limits;
mod map;
mod metrics;
mod openapi;
mod pipeline;
mod queue_model;
mod settings;
