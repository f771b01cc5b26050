//! The promises of the system, each as a journey that would fail if it were broken.
#![expect(clippy::unwrap_used, reason = "a test that finds something else than it expects fails")]

mod alerts;
mod auth;
mod bad_input;
mod batch;
mod dashboard;
mod dead_letters;
mod docs;
mod effect;
mod explain;
mod faults;
mod healthcheck;
mod hours;
mod http;
mod http2;
mod keys;
mod limits;
mod map;
mod metrics;
mod openapi;
mod pipeline;
mod queue_model;
mod reads;
mod reads_devices;
mod redis_sets;
mod repartition;
mod retention;
mod seen;
mod settings;
mod sharding;
mod tls;
mod upgrade;
mod world;
