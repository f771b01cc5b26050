//! `GET /api/v1/devices/{id}`: one device, its last events and its open alert.

use actix_web::{
    HttpResponse,
    web::{Data, Path},
};
use jiff::Timestamp;
use pisync_core::models::FailureCounter;
use serde::Serialize;
use utoipa::ToSchema;

use super::{
    alerts::AlertItem,
    columns::HistoryEntry,
    device_item::{DeviceItem, items},
    query,
};
use crate::{
    http::{error::ApiError, schema::DeviceName},
    state::State,
};

/// Number of last events in the answer.
const LAST: u32 = 5;

/// A device with its last events.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct DeviceAnswer {
    #[serde(flatten)]
    device: DeviceItem,
    /// Newest first.
    last_events: Vec<HistoryEntry>,
    #[serde(skip_serializing_if = "Option::is_none")]
    open_alert: Option<AlertItem>,
}

/// Returns a device that has ever reported.
#[utoipa::path(
    get,
    path = "/api/v1/devices/{id}",
    tag = "devices",
    operation_id = "device",
    summary = "One device, its last events and its open alert",
    params(("id" = inline(DeviceName), Path, description = "The device")),
    responses((status = 200, description = "The device", body = DeviceAnswer))
)]
pub(super) async fn get(id: Path<String>, state: Data<State>) -> Result<HttpResponse, ApiError> {
    let device_id = query::device_id("/id", &id)?;
    let counters = state.store.failure_counters().readable(&[&device_id]).await?;
    let counter = counters.into_values().next();
    let range = Timestamp::MIN..Timestamp::MAX;
    let events = state.store.sync_events().history_step(&device_id, range, None, LAST).await?.found;
    let is_counted = counter.is_some();
    let known = state.fleet.known(vec![counter.unwrap_or_else(|| FailureCounter::new(device_id.clone()))]).await?;
    let is_heard_of = is_counted || !events.is_empty() || known.iter().any(|known| known.last_seen_at.is_some());
    let device = items(&state, known).await?.pop().filter(|_| is_heard_of).ok_or(ApiError::Unknown("device"))?;
    let open_alert = state.store.alerts().open_of(&device_id).await?.map(AlertItem::from);
    let last_events = events.into_iter().map(HistoryEntry).collect();
    Ok(HttpResponse::Ok().json(DeviceAnswer { device, last_events, open_alert }))
}
