//! `GET /api/device/{id}/sync-history`: the reports of a device, newest first.

use actix_web::{
    HttpResponse,
    web::{Data, Path, Query},
};
use pisync_core::models::DeviceId;

use super::{
    columns::HistoryEntry,
    page::{Envelope, PageQuery},
};
use crate::{
    http::{error::ApiError, schema::DeviceName},
    state::State,
};

/// Returns a page of the history; empty for an unknown device.
#[utoipa::path(
    get,
    path = "/api/device/{id}/sync-history",
    tag = "devices",
    operation_id = "syncHistory",
    summary = "Reports of a device, newest first",
    params(("id" = inline(DeviceName), Path, description = "The device"), PageQuery),
    responses((status = 200, description = "A page; empty for an unknown device", body = Envelope<HistoryEntry>))
)]
pub(super) async fn get(
    id: Path<String>,
    query: Query<PageQuery>,
    state: Data<State>,
) -> Result<HttpResponse, ApiError> {
    let page = query.parse("/api/v1/devices/{id}/sync-events")?;
    let device_id = DeviceId::parse(&id).map_err(|error| ApiError::invalid("/id", error.to_string()))?;
    let found = state.store.sync_events().history(&device_id, page.skip(), page.limit).await?;
    Ok(page.answer(found.results.into_iter().map(HistoryEntry).collect(), found.total))
}
