//! `GET /api/devices/repeated-failures`: the devices that fail repeatedly, worst first.

use actix_web::{
    HttpResponse,
    web::{Data, Query},
};
use pisync_core::models::DeviceStatus;
use serde::Serialize;
use utoipa::ToSchema;

use super::page::{Envelope, PageQuery};
use crate::{http::error::ApiError, state::State};

#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct Failing {
    #[serde(rename = "_id")]
    id: String,
    device_id: String,
    failure_count: i32,
}

/// Returns a page of the counters at or over the threshold.
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
    let found = state.store.failure_counters().failing_page(DeviceStatus::REPEATED, page.skip(), page.limit).await?;
    let total = match page.total_at_end(found.len()) {
        Some(total) => total,
        None => state.fleet.failing_total().await?,
    };
    let results = found.into_iter();
    let results = results.map(|c| Failing { id: c.id, device_id: c.device_id, failure_count: c.failure_count });
    Ok(page.answer(results.collect(), total))
}
