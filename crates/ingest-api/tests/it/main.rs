//! Answers of routes and pages, and attacks by a stranger, on real servers.
#![expect(clippy::unwrap_used, reason = "a test that finds something else than it expects fails")]

mod auth;
mod authorization;
mod bad_input;
mod batch;
mod edge;
mod edge_heads;
mod edge_names;
mod explain;
mod hanging;
mod hours;
mod http;
mod keys;
mod labels;
mod openapi;
mod reads;
mod reads_devices;
mod sessions;
mod signing;
mod spreading;
mod tls;
mod variety;
mod what_changed;
