//! The promises of the system, each as a journey that would fail if it were broken.
#![expect(clippy::unwrap_used, reason = "a test that finds something else than it expects fails")]

mod alerts;
mod auth;
mod dead_letters;
mod effect;
mod faults;
mod http;
mod limits;
mod map;
mod pipeline;
mod queue_model;
mod settings;
mod tls;
