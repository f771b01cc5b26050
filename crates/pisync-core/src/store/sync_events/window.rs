//! The reports of a window of time, by the index `_id` alone.
//!
//! An id begins with the seconds of the device's own clock. So a window is a range of ids, and its cost grows with its
//! reports. The rows are folded here and not by `$group`, which takes four times as long at 100,000 devices. Counts per
//! minute kept by the workers could not tell the newest report of a device from its others, and would cost every batch.

use std::{ops::Range, time::Duration};

use bson::{DateTime, Document, RawDocument, RawDocumentBuf, doc};
use futures_util::TryStreamExt;
use jiff::Timestamp;
use mongodb::{
    action::{Action, Find},
    options::Hint,
};
use tokio::task::coop::consume_budget;

use super::{NAME, StoreError, SyncEvents};
use crate::{
    models::{Cause, EventId, FleetWindow, FleetWindowsFold, WhatChanged, WhatChangedFold},
    store::{
        documents::{self, Amount, Unreadable},
        object_id,
    },
};

/// The number of rows in one batch of the server.
const BATCH_SIZE: u32 = 20_000;

/// The most reports of one second that are sorted; more come in portions of this size.
const OF_SECOND: usize = 20_000;

/// The server's time limit for [`WhatChanged`], in all.
const TIMEOUT: Duration = Duration::from_secs(20);

/// The fields of a row that a window needs.
struct Report<'a> {
    device_id: &'a str,
    failed: bool,
    internet_speed: f64,
    row: &'a RawDocument,
}

impl SyncEvents {
    /// Returns the counts of the devices that reported in `range`, in whole seconds, each by its newest report there.
    ///
    /// Reports of a clock that is not trusted are left out: their ids do not hold their time.
    pub async fn window(&self, range: Range<Timestamp>, floor_mbps: f64) -> Result<FleetWindow, StoreError> {
        Ok(self.windows(range, floor_mbps, &[]).await?.windows().all)
    }

    /// Returns a fold of the same, also by the values of these labels, to which the caller can add.
    pub async fn windows<'a>(
        &self,
        range: Range<Timestamp>,
        floor_mbps: f64,
        by: &'a [String],
    ) -> Result<FleetWindowsFold<'a>, StoreError> {
        let fields = by.iter().map(|label| (format!("labels.{label}"), 1.into())).collect();
        let mut fold = FleetWindowsFold::by(by);
        let cause = |report: &Report<'_>| Cause::with_floor(report.internet_speed, floor_mbps);
        let add = |report: Report<'_>| {
            fold.add(report.device_id, report.failed.then(|| cause(&report)), labels(report.row));
        };
        self.each_report(range, fields, None, add).await?;
        Ok(fold)
    }

    /// Returns the properties that the failing ones among them share. Fails after 20 s of the server's time.
    pub async fn what_changed(&self, range: Range<Timestamp>) -> Result<WhatChanged, StoreError> {
        let fields = doc! { "labels": 1 };
        let mut fold = WhatChangedFold::default();
        let add =
            |report: Report<'_>| fold.add(report.device_id, report.failed, report.internet_speed, labels(report.row));
        self.each_report(range, fields, Some(TIMEOUT), add).await?;
        Ok(fold.what_changed())
    }

    /// Passes on each report of a window, in order of time, ties by id, with these fields beside those of a [`Report`].
    ///
    /// The index has the seconds in order, and the reports of a second by their hash. So each second is sorted by
    /// milliseconds.
    async fn each_report(
        &self,
        range: Range<Timestamp>,
        mut fields: Document,
        patience: Option<Duration>,
        mut take: impl FnMut(Report<'_>),
    ) -> Result<(), StoreError> {
        let id = |at| object_id(EventId::lowest(at).bytes());
        let filter = doc! {
            "_id": { "$gte": id(range.start), "$lt": id(range.end) }, "clockSuspect": { "$ne": true },
        };
        fields.extend(doc! { "_id": 0, "deviceId": 1, "timestamp": 1, "totalErrors": 1, "internetSpeed": 1 });
        let by_id = doc! { "_id": 1 };
        let find = self.0.find(filter).projection(fields).sort(by_id.clone()).hint(Hint::Keys(by_id));
        let find = find.batch_size(BATCH_SIZE).optional(patience, Find::max_time);
        let mut rows = find.await?;
        let mut of_second: Vec<(Option<i64>, RawDocumentBuf)> = Vec::new();
        while let Some(row) = rows.try_next().await? {
            // Thousands of rows come at once: other tasks of this thread get their turn between them.
            consume_budget().await;
            let millis = row.get_datetime("timestamp").ok().map(DateTime::timestamp_millis);
            let second = |millis: Option<i64>| millis.map(|millis| millis.div_euclid(1_000));
            let is_other = of_second.last().is_some_and(|(last, _)| second(*last) != second(millis));
            if is_other || of_second.len() >= OF_SECOND {
                hand_on(&mut of_second, &mut take);
            }
            of_second.push((millis, row));
        }
        hand_on(&mut of_second, &mut take);
        Ok(())
    }
}

/// Passes on the reports of one second, which are in order of their ids.
fn hand_on(of_second: &mut Vec<(Option<i64>, RawDocumentBuf)>, take: &mut impl FnMut(Report<'_>)) {
    // Stable: reports of one millisecond stay in order of their ids.
    of_second.sort_by_key(|(millis, _)| *millis);
    for (_, row) in of_second.drain(..) {
        if let Some(report) = documents::read(NAME, &row, |_| report(&row)) {
            take(report);
        }
    }
}

/// Returns the raw labels of a row.
fn labels(row: &RawDocument) -> impl Iterator<Item = (&str, &str)> {
    let labels = row.get_document("labels").ok().into_iter().flatten();
    labels.filter_map(|label| label.ok().and_then(|(name, value)| Some((name.as_str(), value.as_str()?))))
}

fn report(row: &RawDocument) -> Result<Report<'_>, Unreadable> {
    let device_id = row.get_str("deviceId").map_err(|_| Unreadable::new("deviceId", "none: expected a text"))?;
    Ok(Report {
        device_id,
        failed: Amount::in_field(row, "totalErrors")? > 0.0,
        internet_speed: Amount::in_field_if_any(row, "internetSpeed")?.unwrap_or_default(),
        row,
    })
}
