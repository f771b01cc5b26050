//! What devices send.

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

/// A report as a device sends it; a failed one has one error.
pub fn body(device_id: &str, timestamp: Timestamp, failed: bool) -> Value {
    json!({
        "deviceId": device_id,
        "timestamp": format!("{timestamp:.3}"),
        "totalFilesSynced": 8,
        "totalErrors": i32::from(failed),
        "internetSpeed": 97.540_860_556_406_43,
    })
}

/// A time so many hours before now.
pub fn hours_ago(hours: i64) -> Timestamp {
    Timestamp::now() - SignedDuration::from_hours(hours)
}
