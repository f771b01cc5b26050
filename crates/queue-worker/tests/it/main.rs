//! The worker and its commands on a real queue and store.
#![expect(clippy::unwrap_used, reason = "a test that finds something else than it expects fails")]

mod dead_letters;
mod effect;
mod repartition;
mod seen;
mod upgrade;
