//! `GET /api/device/{id}/sync-history`: what a device has reported, newest first.

use std::collections::BTreeMap;

use actix_web::{
    HttpResponse,
    web::{Data, Path, Query},
};
use pisync_core::{models::DeviceId, store::StoredEvent, time::rfc3339};
use serde::Serialize;
use utoipa::ToSchema;

use super::page::{Envelope, PageQuery};
use crate::{
    http::{error::ApiError, schema::DeviceName},
    state::State,
};

/// A row as every route shows it.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct HistoryEntry {
    #[serde(rename = "_id")]
    pub(super) id: String,
    pub(super) device_id: String,
    pub(super) timestamp: String,
    pub(super) total_files_synced: i64,
    pub(super) total_errors: i64,
    pub(super) internet_speed: f64,
    /// The name that the device gave the report, if it did.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) report_id: Option<String>,
    /// What went wrong, if the device said so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) error: Option<ErrorEntry>,
    /// What the device said of itself, if it did.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    #[schema(required = false)]
    labels: BTreeMap<String, String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) device_timestamp: Option<String>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub(super) clock_suspect: bool,
    pub(super) created_at: String,
    pub(super) updated_at: String,
}

/// What went wrong, by the device's own word.
#[derive(Serialize, ToSchema)]
pub(super) struct ErrorEntry {
    /// A short word for it.
    pub(super) code: String,
    /// The same for people.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) message: Option<String>,
}

/// A page of the history; an unknown device has none.
#[utoipa::path(
    get,
    path = "/api/device/{id}/sync-history",
    tag = "devices",
    operation_id = "syncHistory",
    summary = "What a device reported, newest first",
    params(("id" = inline(DeviceName), Path, description = "The device"), PageQuery),
    responses((status = 200, description = "A page; of an unknown device an empty one", body = Envelope<HistoryEntry>))
)]
pub(super) async fn get(
    id: Path<String>,
    query: Query<PageQuery>,
    state: Data<State>,
) -> Result<HttpResponse, ApiError> {
    let page = query.parse("/api/v1/devices/{id}/sync-events")?;
    let device_id = DeviceId::parse(&id).map_err(|error| ApiError::invalid("/id", error.to_string()))?;
    let found = state.store.sync_events().history(&device_id, page.skip(), page.limit).await?;
    Ok(page.answer(found.results.into_iter().map(HistoryEntry::from).collect(), found.total))
}

impl From<StoredEvent> for HistoryEntry {
    fn from(event: StoredEvent) -> Self {
        Self {
            id: event.id.to_string(),
            device_id: event.device_id,
            timestamp: rfc3339(event.timestamp),
            total_files_synced: event.total_files_synced,
            total_errors: event.total_errors,
            internet_speed: event.internet_speed,
            report_id: event.report_id.map(|report_id| report_id.to_string()),
            error: event
                .error
                .map(|error| ErrorEntry { code: error.code().to_owned(), message: error.message().map(str::to_owned) }),
            labels: event.labels.to_map(),
            clock_suspect: event.device_timestamp.is_some(),
            device_timestamp: event.device_timestamp.map(rfc3339),
            created_at: rfc3339(event.created_at),
            updated_at: rfc3339(event.updated_at),
        }
    }
}
