//! What `PiSync` speaks about, as plain values: no server, no wire format but the device's JSON.

mod alert;
mod batch;
mod clock;
mod dead_letter;
mod device_id;
mod device_status;
mod event_id;
mod failure_counter;
mod fleet_window;
mod incident;
mod labels;
mod listening;
mod outbox;
mod report_slot;
mod silence;
mod sync_event;
mod sync_hour;

pub use alert::{ALERTNAME, Alert, AlertId, AlertName, AlertState, Cause, DEVICE_ID, Evidence, Finding, Subject};
pub use batch::{Batch, InvalidBatch, MAX_EVENTS};
pub use clock::{AHEAD, BEHIND, DeviceTime};
pub use dead_letter::{DeadLetter, Reason};
pub use device_id::{DeviceId, InvalidDeviceId};
pub use device_status::DeviceStatus;
pub use event_id::EventId;
pub use failure_counter::{FailureCounter, FailureRun, Fold, Observation, Settled, recount};
pub use fleet_window::{FleetWindow, FleetWindowFold};
pub use incident::{Ack, Incident};
pub use labels::{InvalidLabels, Labels, check_name};
pub use listening::{Gap, Listening};
pub use outbox::{Dead, Entry, MessageId, Telling, Told};
pub use report_slot::next_report_in;
pub use silence::{InvalidMatcher, Matcher, MatcherKind, Silence, SilenceEnd, SilenceId};
pub use sync_event::{FieldError, InvalidEvent, SyncEvent, parse_time};
pub use sync_hour::{Speeds, SyncHour, hour_of};
