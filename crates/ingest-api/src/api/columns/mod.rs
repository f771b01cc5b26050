//! The columns of a history, once for JSON, CSV and the `OpenAPI` document.

mod csv;
mod json;
mod schema;

use jiff::Timestamp;
use pisync_core::{
    models::{EventId, Labels, ReportError, ReportId},
    store::StoredEvent,
};
use serde::Serialize;
use utoipa::ToSchema;

pub(super) use self::csv::{head, line};

/// A member of a row in JSON. In CSV it is the column of the same name; an error is two columns.
struct Column {
    name: &'static str,
    /// Description for people; empty if the name is enough.
    about: &'static str,
    /// Whether every row has it. A missing value is absent in JSON and empty in CSV.
    is_required: bool,
    value: Value,
}

/// The getter of the value, by its type.
enum Value {
    Id(fn(&StoredEvent) -> EventId),
    Text(fn(&StoredEvent) -> Option<&str>),
    Time(fn(&StoredEvent) -> Option<Timestamp>),
    Count(fn(&StoredEvent) -> Option<i64>),
    Speed(fn(&StoredEvent) -> f64),
    /// Absent in JSON if false.
    Flag(fn(&StoredEvent) -> bool),
    Error(fn(&StoredEvent) -> Option<&ReportError>),
    Labels(fn(&StoredEvent) -> &Labels),
}

/// All columns. Spreadsheets address them by position, so new ones go at the end.
const COLUMNS: &[Column] = &[
    required("_id", Value::Id(|row| row.id)),
    required("deviceId", Value::Text(|row| Some(&row.device_id))),
    required("timestamp", Value::Time(|row| Some(row.timestamp))),
    required("totalFilesSynced", Value::Count(|row| Some(row.total_files_synced))),
    required("totalErrors", Value::Count(|row| Some(row.total_errors))),
    required("internetSpeed", Value::Speed(|row| row.internet_speed)),
    optional("deviceTimestamp", "", Value::Time(|row| row.device_timestamp)),
    optional("clockSuspect", "", Value::Flag(|row| row.device_timestamp.is_some())),
    required("createdAt", Value::Time(|row| Some(row.created_at))),
    required("updatedAt", Value::Time(|row| Some(row.updated_at))),
    optional(
        "reportId",
        "Id that the device gave the report, if any.",
        Value::Text(|row| row.details.report_id.as_ref().map(ReportId::as_str)),
    ),
    optional("error", "Error of the sync, if the device reported one.", Value::Error(|row| row.details.error.as_ref())),
    optional("labels", "Labels of the device, if it reported any.", Value::Labels(|row| &row.details.labels)),
];

const fn required(name: &'static str, value: Value) -> Column {
    Column { name, about: "", is_required: true, value }
}

const fn optional(name: &'static str, about: &'static str, value: Value) -> Column {
    Column { name, about, is_required: false, value }
}

/// A row, as every route returns it.
pub(super) struct HistoryEntry(pub(super) StoredEvent);

/// A history as CSV.
pub(super) struct HistoryCsv;

/// The error of a sync, as the device reported it.
#[derive(Serialize, ToSchema)]
struct ErrorEntry<'a> {
    /// Short code of the error.
    code: &'a str,
    /// Text of the error for people.
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<&'a str>,
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use pisync_core::models::SyncEvent;
    use serde_json::{Value as Json, json};

    use utoipa::PartialSchema;

    use super::*;

    /// Returns a row of a report with all its members.
    fn row() -> StoredEvent {
        let body = json!({
            "deviceId": "a", "timestamp": 0, "totalFilesSynced": 8, "totalErrors": 5, "internetSpeed": 2.5,
            "reportId": "b5", "error": { "code": "E", "message": "=1" }, "labels": { "region": "west;", "a": "\\" },
        });
        let at = "2026-11-23T12:00:00Z".parse().unwrap();
        let event = SyncEvent::from_json(body.to_string().as_bytes(), at).unwrap();
        StoredEvent {
            id: event.id(),
            device_id: event.device_id.to_string(),
            timestamp: event.time.timestamp,
            device_timestamp: event.time.device_timestamp,
            clock_agrees: false,
            total_files_synced: 8,
            total_errors: 5,
            internet_speed: 2.5,
            details: event.details,
            created_at: at,
            updated_at: at,
        }
    }

    #[test]
    fn a_row_has_every_column_in_json_and_csv() {
        let json = serde_json::to_value(HistoryEntry(row())).unwrap();
        let names: BTreeSet<_> = json.as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!(names, COLUMNS.iter().map(|column| column.name).collect());
        let head = "_id,deviceId,timestamp,totalFilesSynced,totalErrors,internetSpeed,deviceTimestamp,clockSuspect,\
                    createdAt,updatedAt,reportId,errorCode,errorMessage,labels";
        assert_eq!(head_and_line(), (head.into(), r#",b5,E,'=1,"a=\\;region=west\;""#.into()));
    }

    /// Returns the first line, and the second one from the device id on.
    fn head_and_line() -> (String, String) {
        let line = line(&row()).0;
        let details = line.split_once("12:00:00.000Z,2026-11-23T12:00:00.000Z").unwrap().1;
        (head(), details.to_owned())
    }

    #[test]
    fn the_description_of_a_row_names_every_column() {
        let schema = serde_json::to_value(HistoryEntry::schema()).unwrap();
        let properties = schema["properties"].as_object().unwrap();
        assert_eq!(properties.len(), COLUMNS.len());
        assert!(properties.values().all(Json::is_object));
        let csv = serde_json::to_value(HistoryCsv::schema()).unwrap();
        assert!(csv["description"].as_str().unwrap().contains(&head()), "{csv}");
    }
}
