//! `GET /api/v1/devices/{id}/sync-events`: the reports of a device, newest first, by cursor or as CSV.
#![expect(unused_qualifications, reason = "what utoipa makes of params")]

use std::ops::Range;

use actix_web::{
    HttpRequest, HttpResponse,
    web::{Data, Path, Query},
};
use futures_util::TryStreamExt;
use jiff::Timestamp;
use pisync_core::models::{DeviceId, EventId, schema::moment};
use serde::Deserialize;
use utoipa::IntoParams;

use super::{
    columns::{self, HistoryCsv, HistoryEntry},
    csv::{self, CsvQuery},
    list::{self, ListPage},
    query,
};
use crate::{
    http::{
        cursor::{BadCursor, CursorBinding, Position},
        error::ApiError,
        schema::DeviceName,
    },
    state::State,
};

/// The time range of the query, as received.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct RangeQuery {
    /// Start of the range, inclusive.
    #[param(schema_with = moment, required = false)]
    from: Option<String>,
    /// End of the range, exclusive.
    #[param(schema_with = moment, required = false)]
    to: Option<String>,
}

/// The cursor and limit of the query, as received.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct PlaceQuery {
    /// The `nextCursor` of the previous page, for the same query.
    cursor: Option<String>,
    /// 1 to 200; default: 50.
    #[param(value_type = u32, required = false, minimum = 1, maximum = 200)]
    limit: Option<String>,
}

impl RangeQuery {
    /// Parses the range: start inclusive, end exclusive; unlimited by default.
    fn parse(&self) -> Result<Range<Timestamp>, ApiError> {
        let from = query::time("/from", self.from.as_deref())?;
        let to = query::time("/to", self.to.as_deref())?;
        let range = from.unwrap_or(Timestamp::MIN)..to.unwrap_or(Timestamp::MAX);
        if range.start > range.end {
            return Err(ApiError::invalid("/from", "must not be after to"));
        }
        Ok(range)
    }
}

/// Returns a page of the history, or all of it if CSV is preferred; empty for an unknown device.
#[utoipa::path(
    get,
    path = "/api/v1/devices/{id}/sync-events",
    tag = "devices",
    operation_id = "syncEvents",
    summary = "Reports of a device, newest first",
    params(("id" = inline(DeviceName), Path, description = "The device"), RangeQuery, PlaceQuery, CsvQuery),
    responses((status = 200, description = "A page, or the whole history as CSV if preferred", content(
        (ListPage<HistoryEntry> = "application/json"),
        (inline(HistoryCsv) = "text/csv"),
    )))
)]
pub(super) async fn get(
    request: HttpRequest,
    id: Path<String>,
    range: Query<RangeQuery>,
    place: Query<PlaceQuery>,
    form: Query<CsvQuery>,
    state: Data<State>,
) -> Result<HttpResponse, ApiError> {
    let device_id = query::device_id("/id", &id)?;
    let (range, beginning) = (range.parse()?, form.beginning()?);
    if csv::is_asked_for(&request) {
        return whole(&device_id, range, beginning, &state).await;
    }
    let limit = query::limit(place.limit.as_deref())?;
    let binding = CursorBinding::of("sync-events").with(Some(&device_id)).with(Some(range.start)).with(Some(range.end));
    let after = match list::place(&state, &binding, place.cursor.as_deref())? {
        Some(Position::Document { at, id }) => Some((at, EventId::from_bytes(id))),
        Some(_) => return Err(BadCursor.into()),
        None => None,
    };
    let step = state.store.sync_events().history_step(&device_id, range, after, limit).await?;
    let last = step.found.last().filter(|_| step.more);
    let next = last.map(|row| Position::Document { at: row.timestamp, id: row.id.bytes() });
    Ok(list::answer(&state, &binding, step.found.into_iter().map(HistoryEntry).collect(), next))
}

/// Returns the whole history as CSV.
#[utoipa::path(
    get,
    path = "/api/v1/devices/{id}/sync-events.csv",
    tag = "devices",
    operation_id = "syncEventsCsv",
    summary = "Reports of a device, newest first, as CSV",
    params(
        ("id" = inline(DeviceName), Path, description = "The device"),
        RangeQuery,
        CsvQuery,
    ),
    responses((status = 200, description = "All of it, streamed", body = inline(HistoryCsv), content_type = "text/csv"))
)]
pub(super) async fn get_csv(
    id: Path<String>,
    range: Query<RangeQuery>,
    form: Query<CsvQuery>,
    state: Data<State>,
) -> Result<HttpResponse, ApiError> {
    whole(&query::device_id("/id", &id)?, range.parse()?, form.beginning()?, &state).await
}

async fn whole(
    device_id: &DeviceId,
    range: Range<Timestamp>,
    beginning: &'static str,
    state: &State,
) -> Result<HttpResponse, ApiError> {
    let rows = state.store.sync_events().whole_history(device_id, range).await?;
    Ok(csv::answer("sync-events.csv", beginning, &columns::head(), rows.map_ok(|row| columns::line(&row))))
}
