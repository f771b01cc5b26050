//! The promises of the system, each as a journey that would fail without it.
#![expect(clippy::unwrap_used, reason = "a test that finds something else than it expects fails")]

mod acl;
mod backup;
mod clients;
mod clock;
mod dashboard;
mod decoration;
mod docs;
mod docs_check;
mod edited;
mod faults;
mod fleet_scenario;
mod healthcheck;
mod identity;
mod limits;
mod metrics;
mod pipeline;
mod readiness;
mod redis_sets;
mod reference;
mod retention;
mod scenes;
mod settings;
mod sharding;
mod tls_servers;
mod verdict;
mod wrong_settings;
mod wrong_types;
