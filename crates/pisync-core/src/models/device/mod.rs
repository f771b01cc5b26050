//! A device: its id, labels, status and failure counter.

mod device_id;
mod device_status;
mod failure_counter;
mod labels;

pub use device_id::{DeviceId, InvalidDeviceId};
pub use device_status::DeviceStatus;
pub use failure_counter::{ClockRepeats, FailureCounter, FailureRun, Fold, Observation, Settled, recount};
pub use labels::{InvalidLabels, Labels, check_name};
