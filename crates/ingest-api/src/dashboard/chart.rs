//! `GET /chart/hours.json`: the hours of the fleet as columns, as the chart needs them.

use std::collections::BTreeMap;

use actix_web::{HttpResponse, web::Data};
use jiff::{SignedDuration, Timestamp};
use pisync_core::{
    models::{Late, SyncHour},
    store::AlertFilter,
    time::hour_of,
};
use serde::Serialize;

use super::{page::PageError, viewer::Viewer};
use crate::{http::error::ApiError, state::State};

/// Number of hours in the chart: a week.
pub(super) const WEEK: i32 = 168;

/// Number of newest incidents that are marked.
const MARKED: u32 = 200;

/// Columns of the same length, oldest hour first.
#[derive(Debug, Default, Serialize)]
struct Columns {
    /// Start of the hour, in seconds.
    hour: Vec<i64>,
    good: Vec<u64>,
    connectivity: Vec<u64>,
    content: Vec<u64>,
    unknown: Vec<u64>,
    /// The part of all these that was received late.
    late: LateColumns,
    /// Incidents by the hour of their start, of the newest 200.
    incidents: Vec<u64>,
}

/// The syncs that were received late, by outcome.
#[derive(Debug, Default, Serialize)]
struct LateColumns {
    good: Vec<u64>,
    connectivity: Vec<u64>,
    content: Vec<u64>,
    unknown: Vec<u64>,
}

impl LateColumns {
    fn push(&mut self, late: Late) {
        self.good.push(late.good);
        self.connectivity.push(late.connectivity);
        self.content.push(late.content);
        self.unknown.push(late.unknown);
    }
}

/// Returns the last `count` hours, the running one last.
pub(super) async fn hours(state: &State, count: i32) -> Result<Vec<SyncHour>, ApiError> {
    let now = Timestamp::now();
    let from = hour_of(now).checked_sub(SignedDuration::from_hours(i64::from(count) - 1)).unwrap_or(Timestamp::MIN);
    state.fleet.hours.of(from, now).await
}

/// Returns the last week.
pub(super) async fn get(_: Viewer, state: Data<State>) -> Result<HttpResponse, PageError> {
    let hours = hours(&state, WEEK).await?;
    let newest = state.store.alerts().list(&AlertFilter::default(), None, MARKED).await.map_err(ApiError::from)?;
    let mut begun = BTreeMap::<_, u64>::new();
    for listed in newest.found {
        *begun.entry(hour_of(listed.alert.starts_at)).or_default() += 1;
    }
    let mut columns = Columns::default();
    for hour in hours {
        columns.hour.push(hour.hour.as_second());
        columns.good.push(hour.good);
        columns.connectivity.push(hour.connectivity);
        columns.content.push(hour.content);
        columns.unknown.push(hour.unknown());
        columns.late.push(hour.late);
        columns.incidents.push(begun.get(&hour.hour).copied().unwrap_or(0));
    }
    Ok(HttpResponse::Ok().json(columns))
}
