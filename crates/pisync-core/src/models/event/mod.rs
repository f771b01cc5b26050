//! A report, from the bytes of a device to a sync event.

mod batch;
mod clock;
mod dead_letter;
mod details;
mod event_id;
mod invalid_event;
mod json;
mod loose;
mod report_body;
mod report_slot;
pub mod schema;
mod splitter;
mod sync_event;

pub use batch::{InvalidBatch, MAX_EVENTS, ReportBatch};
pub use clock::{AHEAD, BEHIND, ClockLag, DeviceTime, LATE_AFTER};
pub use dead_letter::{DeadLetter, Reason};
pub use details::{Details, Ignored, InvalidDetail, ReportError, ReportId};
pub use event_id::{EventId, Identity};
pub use invalid_event::{FieldError, InvalidEvent};
pub use report_body::ReportBody;
pub use report_slot::next_report_in;
pub use splitter::{Broken, Open, SentAt, Split, names_of_object, split_batch};
pub use sync_event::{Report, SyncEvent};
