//! What Redis knows beside the queue: when devices were last heard of, the hours that have got rows,
//! which processes are alive, and which sessions were ended.

mod dirty_hours;
mod ended_sessions;
mod heartbeat;
mod last_seen;
mod last_seen_page;

pub use heartbeat::{Contact, Heartbeat, Liveness, Tick};
pub use last_seen::LastSeen;
pub(crate) use last_seen::timestamp;
