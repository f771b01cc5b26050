//! `GET /api/v1/devices`: the devices and their status, by cursor; the failing ones as CSV too.

use actix_web::{
    HttpResponse,
    web::{Data, Query},
};
use futures_util::{StreamExt, TryStreamExt, stream};
use pisync_core::models::DeviceStatus;

use super::{
    csv::{self, CsvQuery, Line},
    device_item::{DeviceItem, items},
    devices_query::DevicesQuery,
    list::{self, ListPage},
    query,
};
use crate::{fleet::Order, http::error::ApiError, state::State};

const HEAD: &str = "deviceId,status,failureCount,failingSince,lastSeenAt,lastSuccessAt,cause,clockSuspectSince";

/// Number of devices in one lookup for the CSV.
const TOGETHER: usize = 500;

/// Returns a page of the devices that match the query.
#[utoipa::path(
    get,
    path = "/api/v1/devices",
    tag = "devices",
    operation_id = "devices",
    summary = "Devices and their status",
    description = "A combination of filters without an index is a 400.",
    params(DevicesQuery),
    responses((status = 200, description = "A page; it may be short, even empty, and have a next one", body = ListPage<DeviceItem>))
)]
pub(super) async fn get(query: Query<DevicesQuery>, state: Data<State>) -> Result<HttpResponse, ApiError> {
    let filter = query.parse()?;
    let limit = query::limit(query.limit.as_deref())?;
    let scope = filter.cursor_binding();
    let after = list::place(&state, &scope, query.cursor.as_deref())?;
    let (known, next) = state.fleet.devices(&filter, after, limit as usize).await?;
    Ok(list::answer(&state, &scope, items(&state, known).await?, next))
}

/// Returns all failing devices as CSV, worst first.
#[utoipa::path(
    get,
    path = "/api/v1/devices.csv",
    tag = "devices",
    operation_id = "failingDevicesCsv",
    summary = "Failing devices, worst first, as CSV",
    params(
        ("status" = String, Query, pattern = "^failing$", description = "failing"),
        ("minFailures" = Option<u32>, Query, minimum = 1, maximum = 2_147_483_647, description = "Minimum number of failed syncs in a row"),
        CsvQuery,
    ),
    responses((status = 200, description = "All of them, streamed", body = String, content_type = "text/csv"))
)]
pub(super) async fn get_csv(
    query: Query<DevicesQuery>,
    form: Query<CsvQuery>,
    state: Data<State>,
) -> Result<HttpResponse, ApiError> {
    let beginning = form.beginning()?;
    let filter = query.parse()?;
    let is_list = filter.status == Some(DeviceStatus::Failing) && filter.order() == Order::Count;
    if !is_list || filter.prefix.is_some() {
        return Err(ApiError::invalid("/status", "must be failing, without q: only that list is available as CSV"));
    }
    let counters = state.store.failure_counters().all_worst(filter.at_least()).await?;
    let lines = counters.map_err(ApiError::from).try_chunks(TOGETHER).map_err(|broken| broken.1);
    let lines = lines.and_then(move |counters| {
        let state = state.clone();
        async move {
            let lines = state.fleet.known(counters).await?.into_iter().map(|known| {
                let last_success_at = known.counter.last_success_at;
                Ok::<_, ApiError>(line(&DeviceItem::new(&known, last_success_at)))
            });
            Ok(stream::iter(lines.collect::<Vec<_>>()))
        }
    });
    Ok(csv::answer("failing-devices.csv", beginning, HEAD, lines.try_flatten().boxed()))
}

fn line(device: &DeviceItem) -> Line {
    let line = Line::default().text(&device.device_id).plain(device.status).plain(device.failure_count);
    let line = line.maybe(device.failing_since.as_ref()).maybe(device.last_seen_at.as_ref());
    let line = line.maybe(device.last_success_at.as_ref()).maybe(device.cause);
    line.maybe(device.clock_suspect_since.as_ref())
}
