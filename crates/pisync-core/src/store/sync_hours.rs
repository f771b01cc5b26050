//! The collection `SyncHour`: each hour's rows added up, one document per hour.

use bson::{Bson, DateTime, Document, RawDocumentBuf, doc, oid::ObjectId, raw::RawDocument};
use futures_util::TryStreamExt;
use jiff::{SignedDuration, Timestamp};
use mongodb::{
    Collection,
    options::{Hint, ReadConcern, ReadPreference, SelectionCriteria},
};
use serde::Deserialize;

use super::{
    Raw, StoreError,
    documents::{self, Amount, Moment, Unreadable, Whole},
    object_id,
};
use crate::{
    models::{Cause, EventId, LATE_AFTER, Late, Speeds, SyncHour},
    time::hour_of,
};

/// The server's code for an hour that has its document already.
const DUPLICATE_KEY: i32 = 11000;

/// The sums of hours.
#[derive(Debug, Clone)]
pub struct SyncHours {
    events: Raw,
    hours: Collection<Document>,
}

impl SyncHours {
    pub(super) fn new(events: Raw, hours: &Raw) -> Self {
        Self { events, hours: hours.clone_with_type() }
    }

    /// Returns the hours that begin at `from` or later and before `to`, as last computed, in order. Hours never
    /// computed are left out.
    pub async fn hours(&self, from: Timestamp, to: Timestamp) -> Result<Vec<SyncHour>, StoreError> {
        let within = doc! { "_id": { "$gte": DateTime::from(from), "$lt": DateTime::from(to) } };
        let found = self.hours.clone_with_type::<RawDocumentBuf>().find(within).sort(doc! { "_id": 1 }).await?;
        documents::readable("SyncHour", found, read).try_collect().await
    }

    /// Adds up the rows of the hour that contains `hour`, stores the sums and returns the stored ones: these, or those
    /// of a computation that began later.
    ///
    /// `computed_at` is Redis' clock, read before the call.
    pub async fn compute(&self, hour: Timestamp, computed_at: Timestamp) -> Result<SyncHour, StoreError> {
        let computed = self.add_up(hour_of(hour), computed_at).await?;
        let begun = DateTime::from(computed_at);
        let older =
            doc! { "_id": DateTime::from(computed.hour), "computedAt": { "$lte": begun }, "closed": { "$ne": true } };
        // The first try may lose the race to make the document against an older computation.
        for _ in 0..2 {
            let change = doc! { "$set": document(&computed) };
            match self.hours.update_one(older.clone(), change).upsert(true).await.map_err(StoreError::from) {
                Err(StoreError::Refused { code: DUPLICATE_KEY, .. }) => {}
                stored => return stored.map(|_| computed),
            }
        }
        let newer = self.hours(computed.hour, computed.hour + SignedDuration::from_hours(1)).await?.pop();
        Ok(newer.unwrap_or(computed))
    }

    /// Adds up the rows of an hour for the last time, before the first of them is removed for its age. An hour that was
    /// closed before stays as it is.
    pub async fn close(&self, hour: Timestamp, computed_at: Timestamp) -> Result<(), StoreError> {
        let closed = self.hours(hour, hour + SignedDuration::from_hours(1)).await?;
        if closed.iter().any(|hour| hour.closed) {
            return Ok(());
        }
        let computed = SyncHour { closed: true, ..self.add_up(hour, computed_at).await? };
        let open = doc! { "_id": DateTime::from(hour), "closed": { "$ne": true } };
        let change = doc! { "$set": document(&computed) };
        for _ in 0..2 {
            match self.hours.update_one(open.clone(), change.clone()).upsert(true).await.map_err(StoreError::from) {
                // Another process has closed or made it meanwhile: then it is closed now.
                Err(StoreError::Refused { code: DUPLICATE_KEY, .. }) => {}
                stored => return stored.map(|_| ()),
            }
        }
        Ok(())
    }

    /// Adds up an hour from the primary, which has every acknowledged row. A row that would be lost with the primary
    /// belongs to a batch that comes again and touches the hour again.
    async fn add_up(&self, hour: Timestamp, computed_at: Timestamp) -> Result<SyncHour, StoreError> {
        let id = |at| object_id(EventId::lowest(at).bytes());
        let within = doc! { "$gte": id(hour), "$lt": id(hour + SignedDuration::from_hours(1)) };
        let buckets = self.events.aggregate([doc! { "$match": { "_id": within } }, by_speed()]);
        let primary = SelectionCriteria::ReadPreference(ReadPreference::Primary);
        let buckets = buckets.hint(Hint::Keys(doc! { "_id": 1 })).selection_criteria(primary);
        let buckets = buckets.read_concern(ReadConcern::local()).with_type::<RawDocumentBuf>().await?;
        let buckets: Vec<Bucket> = documents::readable("SyncEvent", buckets, documents::parse).try_collect().await?;
        let mut sum = SyncHour::empty(hour, computed_at);
        for bucket in buckets {
            if !bucket.of.is_readable {
                let why = Unreadable::new("totalErrors or internetSpeed", "expected a finite number from 0");
                documents::leave_out_named("SyncEvent", &bucket.first.to_string(), &why);
                continue;
            }
            sum.good += whole(bucket.syncs.0) - whole(bucket.failed.0);
            sum.failed += whole(bucket.failed.0);
            sum.files += whole(bucket.files.0);
            sum.errors += whole(bucket.errors.0);
            sum.connectivity += whole(bucket.slow.0);
            sum.content += whole(bucket.fast.0);
            if bucket.of.late {
                sum.late.good += whole(bucket.syncs.0) - whole(bucket.failed.0);
                sum.late.connectivity += whole(bucket.slow.0);
                sum.late.content += whole(bucket.fast.0);
                sum.late.unknown += whole(bucket.failed.0) - whole(bucket.slow.0) - whole(bucket.fast.0);
            }
            if let Some(fifths) = bucket.of.fifths {
                sum.speeds.0[self::bucket(fifths)] += whole(bucket.syncs.0);
                sum.failed_speeds.0[self::bucket(fifths)] += whole(bucket.failed.0);
            }
        }
        Ok(sum)
    }
}

/// Returns the sums of each bucket of speeds, of late reports and of others. Buckets are computed by the logarithm:
/// comparing with every boundary took three times as long. Unreadable rows have a bucket of their own.
fn by_speed() -> Document {
    // The server compares values of all types, and NaN is below all numbers.
    let is_amount = |field: &str| {
        doc! { "$and": [{ "$isNumber": field }, { "$gte": [field, 0] }, { "$lte": [field, f64::MAX] }] }
    };
    let is_measured = is_amount("$internetSpeed");
    let may_be_read = doc! { "$or": [&is_measured, { "$lte": ["$internetSpeed", Bson::Null] }] };
    let fifths = doc! { "$multiply": [{ "$log10": { "$max": ["$internetSpeed", 0.01] } }, 5] };
    let failed = doc! { "$gt": ["$totalErrors", 0] };
    let is_slow = doc! { "$lt": ["$internetSpeed", Cause::CONNECTIVITY_FLOOR] };
    let slow = doc! { "$and": [&failed, &is_measured, { "$gt": ["$internetSpeed", 0] }, &is_slow] };
    let fast = doc! { "$and": [&failed, &is_measured, { "$not": is_slow }] };
    let of = doc! {
        "isReadable": { "$and": [is_amount("$totalErrors"), may_be_read] },
        "fifths": { "$cond": [is_measured, { "$floor": fifths }, Bson::Null] },
        "late": is_late(),
    };
    doc! { "$group": {
        "_id": of,
        "first": { "$first": "$_id" },
        "syncs": { "$sum": 1 },
        "failed": { "$sum": { "$cond": [failed, 1, 0] } },
        "slow": { "$sum": { "$cond": [slow, 1, 0] } },
        "fast": { "$sum": { "$cond": [fast, 1, 0] } },
        "files": { "$sum": { "$cond": [is_amount("$totalFilesSynced"), "$totalFilesSynced", 0] } },
        "errors": { "$sum": { "$cond": [is_amount("$totalErrors"), "$totalErrors", 0] } },
    } }
}

/// Returns the expression for a row that was received late.
fn is_late() -> Document {
    let is_date = |field: &str| doc! { "$eq": [{ "$type": field }, "date"] };
    let after = i64::try_from(LATE_AFTER.as_millis()).unwrap_or(i64::MAX);
    doc! { "$and": [
        is_date("$createdAt"),
        is_date("$timestamp"),
        { "$gt": [{ "$subtract": ["$createdAt", "$timestamp"] }, after] },
    ] }
}

/// Returns the bucket that begins at so many fifths of a power of ten.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it is clamped first")]
fn bucket(fifths: f64) -> usize {
    (fifths + 6.0).clamp(0.0, 21.0) as usize
}

fn document(hour: &SyncHour) -> Document {
    let count = |count: u64| Bson::Int64(i64::try_from(count).unwrap_or(i64::MAX));
    let late = doc! {
        "good": count(hour.late.good),
        "connectivity": count(hour.late.connectivity),
        "content": count(hour.late.content),
        "unknown": count(hour.late.unknown),
    };
    doc! {
        "good": count(hour.good),
        "failed": count(hour.failed),
        "files": count(hour.files),
        "errors": count(hour.errors),
        "connectivity": count(hour.connectivity),
        "content": count(hour.content),
        "speeds": hour.speeds.0.map(count).to_vec(),
        "failedSpeeds": hour.failed_speeds.0.map(count).to_vec(),
        "late": late,
        "computedAt": DateTime::from(hour.computed_at),
        "closed": hour.closed,
    }
}

fn read(found: &RawDocument) -> Result<SyncHour, Unreadable> {
    let stored: Stored = documents::parse(found)?;
    let speeds = |stored: Vec<Whole<u64>>| {
        let mut speeds = Speeds::default();
        speeds.0.iter_mut().zip(stored).for_each(|(count, stored)| *count = stored.0);
        speeds
    };
    Ok(SyncHour {
        hour: stored.id.0,
        good: stored.good.0,
        failed: stored.failed.0,
        files: stored.files.0,
        errors: stored.errors.0,
        connectivity: stored.connectivity.0,
        content: stored.content.0,
        speeds: speeds(stored.speeds),
        failed_speeds: speeds(stored.failed_speeds),
        late: Late {
            good: stored.late.good.0,
            connectivity: stored.late.connectivity.0,
            content: stored.late.content.0,
            unknown: stored.late.unknown.0,
        },
        computed_at: stored.computed_at.0,
        closed: stored.closed,
    })
}

/// Returns a sum, which the server gives as any type of number.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "counts are whole and below 2^53")]
fn whole(sum: f64) -> u64 {
    sum as u64
}

#[derive(Deserialize)]
struct Bucket {
    #[serde(rename = "_id")]
    of: Of,
    /// The first row in it, to name an unreadable one.
    first: ObjectId,
    syncs: Amount,
    failed: Amount,
    slow: Amount,
    fast: Amount,
    files: Amount,
    errors: Amount,
}

/// The common key of a bucket's rows.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Of {
    is_readable: bool,
    fifths: Option<f64>,
    late: bool,
}

#[derive(Deserialize)]
struct StoredLate {
    good: Whole<u64>,
    connectivity: Whole<u64>,
    content: Whole<u64>,
    unknown: Whole<u64>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Stored {
    #[serde(rename = "_id")]
    id: Moment,
    good: Whole<u64>,
    failed: Whole<u64>,
    files: Whole<u64>,
    errors: Whole<u64>,
    connectivity: Whole<u64>,
    content: Whole<u64>,
    speeds: Vec<Whole<u64>>,
    failed_speeds: Vec<Whole<u64>>,
    late: StoredLate,
    computed_at: Moment,
    closed: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_logarithm_tells_the_buckets_apart_as_their_boundaries_do() {
        for (place, from) in Speeds::FROM.into_iter().enumerate() {
            let inside = if place == 0 { 0.05 } else { from * 1.2 };
            assert_eq!(bucket((inside.log10() * 5.0).floor()), place, "{from}");
            assert_eq!(Speeds::bucket(inside), place, "{from}");
        }
        assert_eq!([bucket(-10.0), bucket(30.0)], [0, 21]);
    }
}
