//! What stands between two of the system, and is in trouble.

mod lost_replies;
mod portal;

pub use lost_replies::{Marker, Proxy};
pub use portal::{Interference, Portal};
