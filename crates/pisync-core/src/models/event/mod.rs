//! A report, from the bytes that a device sent to what a sync event is.

mod batch;
mod clock;
mod dead_letter;
pub(super) mod decoration;
mod event_id;
pub(super) mod json;
mod loose;
mod report_slot;
mod splitter;
mod sync_event;
pub(super) mod visible;

pub use batch::{Batch, InvalidBatch, MAX_EVENTS};
pub use clock::{AHEAD, BEHIND, ClockLag, DeviceTime, LATE_AFTER};
pub use dead_letter::{DeadLetter, Reason};
pub use decoration::{Ignored, InvalidDecoration, ReportError, ReportId};
pub use event_id::{EventId, Identity};
pub use report_slot::next_report_in;
pub use splitter::{Broken, Open, SentAt, Split, names_of_object, split_batch};
pub use sync_event::{FieldError, InvalidEvent, Report, SyncEvent};
pub use visible::Unseen;
