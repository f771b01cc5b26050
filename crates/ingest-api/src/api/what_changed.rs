//! `GET /api/v1/fleet/what-changed`: common properties of the failing devices.
#![expect(unused_qualifications, reason = "what utoipa makes of params")]

use actix_web::{
    HttpResponse,
    web::{Data, Query},
};
use pisync_core::{
    models::{Contrast, Mark},
    time::rfc3339,
};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::query;
use crate::{fleet::Found, http::error::ApiError, state::State};

/// Maximum window, in minutes: three reports of a device that reports every hour.
const MOST_MINUTES: u32 = 180;

/// Default window of the alerts, in minutes.
const MINUTES: u32 = 15;

/// The query, as received.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct ChangesQuery {
    /// 1 to 180; default: 15.
    #[param(value_type = u32, required = false, minimum = 1, maximum = 180)]
    minutes: Option<String>,
}

/// Common properties of the failing devices that reported in the window.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct Changes {
    minutes: u32,
    /// Number of devices that reported.
    reporting: u64,
    /// Number of those whose newest sync failed.
    failing: u64,
    /// Devices that fail more often than the rest, the surest first; at most 10.
    items: Vec<ContrastItem>,
    /// Number of label values that were compared, at most 1,000.
    compared_values: usize,
    /// Number of devices with a value that was not compared, since there were too many others.
    left_out_devices: u64,
    computed_at: String,
}

/// A label value, or a range of speeds, whose devices fail more often than all others.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct ContrastItem {
    /// Name of the label; absent for a range of speeds.
    #[serde(skip_serializing_if = "Option::is_none")]
    label: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    value: Option<String>,
    /// Lower end of the speeds in Mbps, inclusive; absent for a label, and for syncs without a measured speed.
    #[serde(skip_serializing_if = "Option::is_none")]
    speed_from: Option<f64>,
    /// Upper end of the speeds in Mbps, exclusive.
    #[serde(skip_serializing_if = "Option::is_none")]
    speed_to: Option<f64>,
    devices: u64,
    failing: u64,
    /// Share of its devices that fail, 0 to 1.
    failing_share: f64,
    rest_devices: u64,
    rest_failing: u64,
    rest_failing_share: f64,
    /// Minimum difference between the two shares, 0 to 1, at its statistical confidence. Items are ordered by
    /// it.
    at_least: f64,
    /// The same in words.
    message: String,
}

/// Returns the common properties of failing devices in the last minutes of their own time, some seconds old.
#[utoipa::path(
    get,
    path = "/api/v1/fleet/what-changed",
    tag = "fleet",
    operation_id = "whatChanged",
    summary = "Common properties of failing devices",
    params(ChangesQuery),
    responses((status = 200, description = "The common properties", body = Changes))
)]
pub(super) async fn get(query: Query<ChangesQuery>, state: Data<State>) -> Result<HttpResponse, ApiError> {
    let minutes = query::number("/minutes", query.minutes.as_deref(), 1..=MOST_MINUTES)?.unwrap_or(MINUTES);
    let found = state.fleet.changes.of(minutes).await?;
    Ok(HttpResponse::Ok().json(Changes::new(minutes, &found)))
}

impl Changes {
    fn new(minutes: u32, found: &Found) -> Self {
        let what = &found.what;
        Self {
            minutes,
            reporting: what.all.devices,
            failing: what.all.failing,
            items: what.contrasts.iter().map(ContrastItem::from).collect(),
            compared_values: what.compared,
            left_out_devices: what.left_out,
            computed_at: rfc3339(found.at),
        }
    }
}

impl From<&Contrast> for ContrastItem {
    fn from(contrast: &Contrast) -> Self {
        let (label, speed) = match &contrast.mark {
            Mark::Label { name, value } => (Some((name.clone(), value.clone())), None),
            Mark::Speed(band) => (None, band.range()),
        };
        let (label, value) = label.unzip();
        Self {
            label,
            value,
            speed_from: speed.map(|(from, _)| from),
            speed_to: speed.and_then(|(_, to)| to),
            devices: contrast.with.devices,
            failing: contrast.with.failing,
            failing_share: contrast.with.failing_share(),
            rest_devices: contrast.rest.devices,
            rest_failing: contrast.rest.failing,
            rest_failing_share: contrast.rest.failing_share(),
            at_least: contrast.at_least,
            message: contrast.to_string(),
        }
    }
}
