//! What devices reported in a window of time, by the index `_id` alone.
//!
//! An id begins with the seconds of the device's own clock, so a window is a range of ids, and
//! costs what was reported in it. The rows are folded here and not by `$group`, which takes four
//! times as long at 100,000 devices. Counts per minute that the workers would keep could not tell
//! the newest report of a device from its others, and would cost every batch.

use std::ops::Range;

use bson::{RawDocument, doc};
use futures_util::TryStreamExt;
use jiff::Timestamp;
use mongodb::options::Hint;

use super::{StoreError, SyncEvents};
use crate::{
    models::{Cause, EventId, FleetWindow, FleetWindowFold},
    store::object_id,
};

/// How many rows the server sends at a time.
const AT_ONCE: u32 = 20_000;

impl SyncEvents {
    /// The devices that reported in `range`, in whole seconds, each by its newest report there.
    ///
    /// Reports of a clock that is not believed are left out: their ids do not tell when they were.
    pub async fn window(&self, range: Range<Timestamp>, floor_mbps: f64) -> Result<FleetWindow, StoreError> {
        let id = |at| object_id(EventId::lowest(at).bytes());
        let filter = doc! {
            "_id": { "$gte": id(range.start), "$lt": id(range.end) }, "clockSuspect": { "$ne": true },
        };
        let fields = doc! { "_id": 0, "deviceId": 1, "totalErrors": 1, "internetSpeed": 1 };
        let by_id = doc! { "_id": 1 };
        let find = self.0.find(filter).projection(fields).sort(by_id.clone()).hint(Hint::Keys(by_id));
        let mut rows = find.batch_size(AT_ONCE).await?;
        let mut fold = FleetWindowFold::default();
        while let Some(row) = rows.try_next().await? {
            if let Ok(device_id) = row.get_str("deviceId") {
                let failed = number(&row, "totalErrors") > 0.0;
                fold.add(device_id, failed.then(|| Cause::with_floor(number(&row, "internetSpeed"), floor_mbps)));
            }
        }
        Ok(fold.window())
    }
}

/// A number of any BSON type, since other programs write doubles; 0 where it is none.
#[expect(clippy::cast_precision_loss, reason = "counts are below 2^53")]
fn number(row: &RawDocument, field: &str) -> f64 {
    let Ok(Some(value)) = row.get(field) else { return 0.0 };
    let whole = value.as_i64().or_else(|| value.as_i32().map(i64::from)).map(|whole| whole as f64);
    whole.or_else(|| value.as_f64()).unwrap_or_default()
}
