//! Journeys through the whole system: real processes, a real Redis, a real `MongoDB`.

pub use testkit::*;
