//! What devices send.

use std::cell::OnceCell;

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

thread_local! {
    static NOW: OnceCell<Timestamp> = const { OnceCell::new() };
}

/// The clock of a test, read once, in whole milliseconds: whatever times a test makes of it fit each
/// other, also when the second or the hour ends meanwhile. Each test has a thread of its own.
pub fn now() -> Timestamp {
    NOW.with(|now| {
        *now.get_or_init(|| Timestamp::from_millisecond(Timestamp::now().as_millisecond()).unwrap_or_default())
    })
}

/// A time so many hours before [`now`]; the same in each call of a test.
pub fn hours_ago(hours: i64) -> Timestamp {
    now() - SignedDuration::from_hours(hours)
}
