//! The rows of the pipeline: what is done to APIs, workers and servers while a fleet sends.
//!
//! In reading order: `rows` (what is done to whom), `stage` (the world of one row) with `cast` (its
//! processes), `workers`, `ingest`, `servers`, `failover`, `replies` and `controls` (how it is done),
//! `recovery` (how long a batch is without a worker), `line` (what is printed).

pub(crate) mod cast;
mod controls;
mod failover;
mod ingest;
pub(crate) mod line;
pub(crate) mod recovery;
mod replies;
pub(crate) mod rows;
mod servers;
pub(crate) mod stage;
mod workers;
