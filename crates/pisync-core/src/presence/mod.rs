//! Data in Redis beside the queue: last-seen times, dirty hours, heartbeats, and ended sessions.

mod dirty_hours;
mod ended_sessions;
mod heartbeat;
mod last_seen;
mod last_seen_page;

pub use heartbeat::{Contact, Heartbeat, Liveness, Tick};
pub use last_seen::LastSeen;
pub(crate) use last_seen::timestamp;
