//! The optional members of a report. An invalid one is left out and named, and the report is still accepted.

pub(super) mod labels;
mod left_out;
pub(super) mod report_error;
pub(super) mod report_id;

pub(super) use self::left_out::LeftOut;
pub use self::{left_out::Ignored, report_error::ReportError, report_id::ReportId};
use crate::models::{Identity, Labels, Unseen};

/// The optional members of a report. A row has those that were sent.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Details {
    /// The device's own id of the report, if there is one.
    pub report_id: Option<ReportId>,
    /// The error of the sync, if the device reported one.
    pub error: Option<ReportError>,
    /// The labels of the device; not part of the event's identity.
    pub labels: Labels,
}

/// The reason that a text is no [`ReportId`] or no part of a [`ReportError`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidDetail {
    /// A report id is empty or too long.
    #[error("must have 1 to {} characters", ReportId::MAX_CHARS)]
    ReportIdLength,
    /// A report id holds an invisible character.
    #[error("must have visible characters only, and has {0}")]
    Unseen(Unseen),
    /// An error's code is empty, too long, or has other characters.
    #[error(
        "must have a code of 1 to {} characters, each a letter from A to Z, a digit, _, . or -",
        ReportError::CODE_CHARS
    )]
    Code,
    /// An error's message is too long.
    #[error("must have at most {} characters", ReportError::MESSAGE_CHARS)]
    MessageLength,
}

impl Details {
    /// The names of the members in a report.
    pub const NAMES: [&str; 3] = ["reportId", "error", "labels"];

    /// Returns the names of the members in which the two differ.
    pub fn differ(&self, other: &Self) -> impl Iterator<Item = &'static str> + use<> {
        let differ = [self.report_id != other.report_id, self.error != other.error, self.labels != other.labels];
        Self::NAMES.into_iter().zip(differ).filter_map(|(name, differs)| differs.then_some(name))
    }

    /// Returns the identity of the report among those of its device and time.
    pub fn identity(&self, total_files_synced: i64, total_errors: i64, internet_speed: f64) -> Identity<'_> {
        match &self.report_id {
            Some(report_id) => Identity::ReportId(report_id.as_str()),
            None => Identity::Content {
                total_files_synced,
                total_errors,
                internet_speed,
                error_code: self.error.as_ref().map_or("", ReportError::code),
            },
        }
    }
}
