//! Proxies between two parts of the system that cause faults.

mod lost_replies;
mod portal;

pub use lost_replies::{Marker, Proxy};
pub use portal::{Interference, Portal};
