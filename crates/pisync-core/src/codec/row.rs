//! The row: the document form of an event in the collection `SyncEvent`.

use bson::{
    Bson, DateTime, RawDocumentBuf,
    oid::ObjectId,
    raw::{CStr, RawDocument},
    rawdoc,
};
use jiff::Timestamp;
use serde::Deserialize;

use super::{Amount, Moment, Unreadable, Whole, moment, parse};
use crate::models::{ClockLag, Details, DeviceTime, EventId, Labels, ReportError, ReportId, SyncEvent};

/// A stored row; it may come from another program with the same schema.
#[derive(Debug, Clone, PartialEq)]
pub struct StoredEvent {
    /// The row's id.
    pub id: EventId,
    /// The reporting device.
    pub device_id: String,
    /// Time of the sync.
    pub timestamp: Timestamp,
    /// The device's own time, if it was not trusted.
    pub device_timestamp: Option<Timestamp>,
    /// Whether the report came late from a clock that agreed with ours when it was sent.
    pub clock_agrees: bool,
    /// Files synced.
    pub total_files_synced: i64,
    /// Errors of the sync.
    pub total_errors: i64,
    /// Speed in Mbps.
    pub internet_speed: f64,
    /// The optional members of the report.
    pub details: Details,
    /// Time of receipt of the report.
    pub created_at: Timestamp,
    /// Time of the last change; rows do not change here.
    pub updated_at: Timestamp,
}

impl StoredEvent {
    /// Returns the time of the sync and the time of receipt, the input of a [`ClockLag`].
    pub fn times(&self) -> (DeviceTime, Timestamp) {
        let Self { timestamp, device_timestamp, clock_agrees: agrees, created_at, .. } = *self;
        (DeviceTime { timestamp, device_timestamp, agrees }, created_at)
    }

    /// Returns how far a device's clock is behind, from its newest rows, newest first.
    pub fn clock_lag(newest: &[Self]) -> ClockLag {
        ClockLag::of(newest.iter().map(Self::times))
    }
}

/// A row with all its fields. Numbers may be of any BSON type: other programs write doubles.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Row {
    #[serde(rename = "_id")]
    id: ObjectId,
    device_id: String,
    timestamp: Moment,
    device_timestamp: Option<Moment>,
    clock_agrees: Option<Bson>,
    total_files_synced: Option<Bson>,
    total_errors: Amount,
    /// None if it was not measured.
    internet_speed: Option<Amount>,
    report_id: Option<Bson>,
    error: Option<Bson>,
    labels: Option<Bson>,
    created_at: Option<Moment>,
    updated_at: Option<Bson>,
}

/// Returns the event as a document with this id.
pub(crate) fn encode(id: EventId, event: &SyncEvent) -> RawDocumentBuf {
    let received_at = DateTime::from(event.received_at);
    let mut row = rawdoc! {
        "_id": ObjectId::from_bytes(id.bytes()),
        "deviceId": event.device_id.as_str(),
        "timestamp": DateTime::from(event.time.timestamp),
        "totalFilesSynced": event.total_files_synced,
        "totalErrors": event.total_errors,
        "internetSpeed": event.internet_speed,
        "createdAt": received_at,
        "updatedAt": received_at,
    };
    if let Some(device_timestamp) = event.time.device_timestamp {
        row.append(bson::cstr!("deviceTimestamp"), DateTime::from(device_timestamp));
        row.append(bson::cstr!("clockSuspect"), true);
    }
    if event.time.agrees {
        row.append(bson::cstr!("clockAgrees"), true);
    }
    append_details(&mut row, &event.details);
    row
}

fn append_details(row: &mut RawDocumentBuf, details: &Details) {
    if let Some(report_id) = &details.report_id {
        row.append(bson::cstr!("reportId"), report_id.as_str());
    }
    if let Some(error) = &details.error {
        let mut stored = rawdoc! { "code": error.code() };
        if let Some(message) = error.message() {
            stored.append(bson::cstr!("message"), message);
        }
        row.append(bson::cstr!("error"), stored);
    }
    if !details.labels.is_empty() {
        // A name has only bytes that a key may have.
        let pairs = details.labels.iter().filter_map(|(name, value)| Some((<&CStr>::try_from(name).ok()?, value)));
        row.append(bson::cstr!("labels"), pairs.collect::<RawDocumentBuf>());
    }
}

/// Returns the labels of a row. Labels of another program that are not valid here are left out.
pub(crate) fn labels(stored: Option<Bson>) -> Labels {
    let Some(Bson::Document(stored)) = stored else { return Labels::default() };
    let pair = |(name, value)| match value {
        Bson::String(value) => Some((name, value)),
        _ => None,
    };
    Labels::of_row(stored.into_iter().filter_map(pair))
}

/// Returns the error of a row. An error of another program that is not valid here is left out.
fn error(stored: Option<&Bson>) -> Option<ReportError> {
    let stored = stored?.as_document()?;
    let (code, message) = (stored.get_str("code").ok()?, stored.get_str("message").ok());
    ReportError::new(code, message).or_else(|_| ReportError::new(code, None)).ok()
}

/// Returns the event of a document.
pub(crate) fn decode(row: &RawDocument) -> Result<StoredEvent, Unreadable> {
    let row: Row = parse(row)?;
    let timestamp = row.timestamp.0;
    Ok(StoredEvent {
        id: EventId::from_bytes(row.id.bytes()),
        device_id: row.device_id,
        timestamp,
        device_timestamp: row.device_timestamp.map(|at| at.0),
        clock_agrees: row.clock_agrees.and_then(|agrees| agrees.as_bool()).unwrap_or_default(),
        total_files_synced: row.total_files_synced.as_ref().and_then(files).unwrap_or_default(),
        total_errors: whole(row.total_errors.0),
        internet_speed: row.internet_speed.map_or(0.0, |speed| speed.0),
        details: Details {
            report_id: row.report_id.as_ref().and_then(Bson::as_str).and_then(|text| ReportId::parse(text).ok()),
            error: error(row.error.as_ref()),
            labels: labels(row.labels),
        },
        created_at: row.created_at.map_or(timestamp, |at| at.0),
        updated_at: row.updated_at.and_then(date).unwrap_or(timestamp),
    })
}

/// Returns the number of files. It decides nothing, so a value that is not a whole number is left out.
fn files(value: &Bson) -> Option<i64> {
    Whole::deserialize(bson::Deserializer::new(value.clone())).ok().map(|files| files.0)
}

/// Returns a date that is optional, or `None` if another program wrote something else.
#[expect(clippy::needless_pass_by_value, reason = "it is taken out of an option")]
fn date(value: Bson) -> Option<Timestamp> {
    moment(*value.as_datetime()?)
}

/// Rounds up, so that a failed sync never shows zero errors.
#[expect(clippy::cast_possible_truncation, reason = "a cast saturates")]
fn whole(number: f64) -> i64 {
    number.ceil() as i64
}
