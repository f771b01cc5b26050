//! The queue against a model, and the rule for detached calls, on real servers.
#![expect(clippy::unwrap_used, reason = "a test that finds something else than it expects fails")]

mod detached;
mod queue_model;
