//! `GET /api/devices/repeated-failures`: the devices that fail again and again, worst first.

use std::time::Duration;

use actix_web::{
    HttpResponse,
    web::{Data, Query},
};
use serde::Serialize;
use utoipa::ToSchema;

use super::page::{Envelope, PageQuery};
use crate::{
    fleet::refresh::{Latest, PATIENCE},
    http::error::ApiError,
    state::State,
};

/// How many failed syncs in a row make a repeated failure.
const REPEATED: i32 = 3;

/// How old the total of a list that goes on may be, and how old while a newer one cannot be had.
const LAGS: [Duration; 2] = [Duration::from_secs(1), Duration::from_mins(1)];

/// How many devices there were in the list a moment ago. To count them takes a step for each, and
/// one for each that has left it lately.
#[derive(Debug, Clone, Default)]
pub struct FailingTotal(Latest<u64>);

#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct Failing {
    #[serde(rename = "_id")]
    id: String,
    device_id: String,
    failure_count: i32,
}

/// A page of the counters at or over the threshold.
#[utoipa::path(
    get,
    path = "/api/devices/repeated-failures",
    tag = "fleet",
    operation_id = "repeatedFailures",
    summary = "Devices with 3 and more failed syncs in a row, worst first",
    params(PageQuery),
    responses((status = 200, description = "A page", body = Envelope<Failing>))
)]
pub(super) async fn get(query: Query<PageQuery>, state: Data<State>) -> Result<HttpResponse, ApiError> {
    let page = query.parse("/api/v1/devices?status=failing")?;
    let found = state.store.failure_counters().failing_page(REPEATED, page.skip(), page.limit).await?;
    let total = match page.total_at_end(found.len()) {
        Some(total) => total,
        None => FailingTotal::of(&state).await?,
    };
    let results = found.into_iter();
    let results = results.map(|c| Failing { id: c.id, device_id: c.device_id, failure_count: c.failure_count });
    Ok(page.answer(results.collect(), total))
}

impl FailingTotal {
    async fn of(state: &State) -> Result<u64, ApiError> {
        let counters = state.store.failure_counters();
        let count = || async move { Ok(counters.count_failing(REPEATED).await?) };
        state.failing_total.0.get(LAGS, PATIENCE, "the counts of the failing devices", count).await
    }
}
