//! The domain of `PiSync` as plain values: no server, no wire format but the device's JSON.

mod alert;
mod device;
mod event;
mod fleet;
mod visible;

pub use alert::*;
pub use device::*;
pub use event::*;
pub use fleet::*;
pub use visible::Unseen;
