//! `GET /api/v1/fleet/summary`: the devices by status, and the syncs hour by hour.
#![expect(unused_qualifications, reason = "what utoipa makes of params")]

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use actix_web::{
    HttpResponse,
    http::header::ContentType,
    web::{Bytes, Data, Query},
};
use jiff::{SignedDuration, Timestamp};
use pisync_core::{
    models::{Speeds, SyncHour},
    time::{hour_of, rfc3339},
};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::query;
use crate::{fleet::DeviceCounts, http::error::ApiError, state::State};

/// Maximum number of hours in a query: a week.
const MOST_HOURS: u32 = 168;

/// Lifetime of a cached summary: that of the running hour.
const GOOD_FOR: Duration = Duration::from_secs(5);

/// Cached summaries, by their number of hours.
#[derive(Debug, Default)]
pub(crate) struct SummaryCache(Mutex<HashMap<u32, (Instant, Bytes)>>);

impl SummaryCache {
    fn find(&self, hours: u32) -> Option<Bytes> {
        let summaries = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        summaries.get(&hours).filter(|(made_at, _)| made_at.elapsed() < GOOD_FOR).map(|(_, summary)| summary.clone())
    }

    fn keep(&self, hours: u32, summary: &Bytes) {
        let mut summaries = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        summaries.retain(|_, (made_at, _)| made_at.elapsed() < GOOD_FOR);
        summaries.insert(hours, (Instant::now(), summary.clone()));
    }
}

/// The query, as received.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct SummaryQuery {
    /// 1 to 168; default: 24.
    #[param(value_type = u32, required = false, minimum = 1, maximum = 168)]
    hours: Option<String>,
}

/// The fleet at one moment, and its last hours.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct FleetSummary {
    devices: DeviceCounts,
    syncs: SyncCounts,
    /// In Mbps, estimated; null without syncs.
    median_speed: Option<f64>,
    /// In order of time, the running hour last.
    hours: Vec<HourItem>,
    /// The devices by the minute of their last report within the last hour, the running minute last. Nearly all
    /// in one minute is a thundering herd.
    minutes: Vec<MinuteItem>,
    computed_at: String,
}

/// The syncs of all these hours.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct SyncCounts {
    good: u64,
    failed: u64,
    /// Share of failed syncs, 0 to 1; null without syncs.
    failure_share: Option<f64>,
}

/// The syncs of an hour.
#[derive(Serialize, ToSchema)]
struct HourItem {
    /// Start of the hour.
    hour: String,
    good: u64,
    failed: u64,
}

/// The devices that were last seen in a minute.
#[derive(Serialize, ToSchema)]
struct MinuteItem {
    /// Start of the minute.
    minute: String,
    devices: u64,
    /// Share of all devices seen within the hour, 0 to 1.
    share: f64,
}

/// Returns the fleet now, and the hours of the query: 24 by default.
#[utoipa::path(
    get,
    path = "/api/v1/fleet/summary",
    tag = "fleet",
    operation_id = "fleetSummary",
    summary = "Devices by status, and syncs by hour",
    params(SummaryQuery),
    responses((status = 200, description = "The fleet now, and its last hours", body = FleetSummary))
)]
pub(super) async fn get(
    query: Query<SummaryQuery>,
    summaries: Data<SummaryCache>,
    state: Data<State>,
) -> Result<HttpResponse, ApiError> {
    let hours = query::number("/hours", query.hours.as_deref(), 1..=MOST_HOURS)?.unwrap_or(24);
    let summary = if let Some(kept) = summaries.find(hours) {
        kept
    } else {
        let summary = Bytes::from(serde_json::to_vec(&FleetSummary::of(&state, hours).await?).unwrap_or_default());
        summaries.keep(hours, &summary);
        summary
    };
    Ok(HttpResponse::Ok().content_type(ContentType::json()).body(summary))
}

impl FleetSummary {
    async fn of(state: &State, hours: u32) -> Result<Self, ApiError> {
        let now = Timestamp::now();
        let back = SignedDuration::from_hours(i64::from(hours) - 1);
        let from = hour_of(now).checked_sub(back).unwrap_or(Timestamp::MIN);
        let hours = state.fleet.hours.of(from, now).await?;
        Ok(Self {
            devices: state.fleet.device_counts().await?,
            syncs: SyncCounts::of(&hours),
            median_speed: median_speed(&hours),
            hours: hours.iter().map(HourItem::from).collect(),
            minutes: minutes(state.fleet.last_seen.by_minute(now).await?),
            computed_at: rfc3339(now),
        })
    }
}

impl SyncCounts {
    fn of(hours: &[SyncHour]) -> Self {
        let good = hours.iter().map(|hour| hour.good).sum();
        let failed = hours.iter().map(|hour| hour.failed).sum();
        #[expect(clippy::cast_precision_loss, reason = "counts are below 2^53")]
        let failure_share = (good + failed > 0).then(|| failed as f64 / (good + failed) as f64);
        Self { good, failed, failure_share }
    }
}

#[expect(clippy::cast_precision_loss, reason = "counts are below 2^53")]
fn minutes(counts: Vec<(Timestamp, u64)>) -> Vec<MinuteItem> {
    let all = counts.iter().map(|(_, devices)| *devices).sum::<u64>().max(1) as f64;
    let item = |(minute, devices)| MinuteItem { minute: rfc3339(minute), devices, share: devices as f64 / all };
    counts.into_iter().map(item).collect()
}

/// Returns the median over all hours. Medians cannot be added up; the counts behind them can.
fn median_speed(hours: &[SyncHour]) -> Option<f64> {
    let mut all = Speeds::default();
    for hour in hours {
        all += hour.speeds;
    }
    all.median()
}

impl From<&SyncHour> for HourItem {
    fn from(hour: &SyncHour) -> Self {
        Self { hour: rfc3339(hour.hour), good: hour.good, failed: hour.failed }
    }
}
