//! What a worker and its verbs do with the queue and the store, on real servers.
#![expect(clippy::unwrap_used, reason = "a test that finds something else than it expects fails")]

mod dead_letters;
mod effect;
mod repartition;
mod seen;
mod upgrade;
