//! `GET /api/v1/devices/{id}/sync-events`: what a device has reported, newest first, by cursor or
//! as CSV.

use std::ops::Range;

use actix_web::{
    HttpRequest, HttpResponse,
    web::{Data, Path, Query},
};
use futures_util::TryStreamExt;
use jiff::Timestamp;
use pisync_core::{models::DeviceId, models::EventId, store::StoredEvent};
use serde::Deserialize;

use super::{
    super::sync_history::HistoryEntry,
    csv::{self, Line},
    list, query,
};
use crate::{
    cursor::{BadCursor, Position, Scope},
    error::ApiError,
    server::State,
};

const HEAD: &str = "_id,deviceId,timestamp,totalFilesSynced,totalErrors,internetSpeed,deviceTimestamp,clockSuspect,\
                    createdAt,updatedAt";

/// The query, as it came.
#[derive(Debug, Deserialize)]
pub(super) struct EventsQuery {
    from: Option<String>,
    to: Option<String>,
    cursor: Option<String>,
    limit: Option<String>,
}

impl EventsQuery {
    /// From the first time on, before the second; without bounds unless asked otherwise.
    fn range(&self) -> Result<Range<Timestamp>, ApiError> {
        let from = query::time("/from", self.from.as_deref())?;
        let to = query::time("/to", self.to.as_deref())?;
        let range = from.unwrap_or(Timestamp::MIN)..to.unwrap_or(Timestamp::MAX);
        if range.start > range.end {
            return Err(ApiError::query("/from", "must not lie after to"));
        }
        Ok(range)
    }
}

/// A page of the history, or all of it where CSV is preferred; an unknown device has none.
pub(super) async fn get(
    request: HttpRequest,
    id: Path<String>,
    query: Query<EventsQuery>,
    state: Data<State>,
) -> Result<HttpResponse, ApiError> {
    let device_id = query::device_id("/id", &id)?;
    let range = query.range()?;
    if csv::is_asked_for(&request) {
        return whole(&device_id, range, &state).await;
    }
    let limit = query::limit(query.limit.as_deref())?;
    let scope = Scope::of("sync-events").with(Some(&device_id)).with(Some(range.start)).with(Some(range.end));
    let after = match list::place(&state, &scope, query.cursor.as_deref()).await? {
        Some(Position::Document { at, id }) => Some((at, EventId::from_bytes(id))),
        Some(_) => return Err(BadCursor.into()),
        None => None,
    };
    let step = state.store.sync_events().history_step(&device_id, range, after, limit).await?;
    let last = step.found.last().filter(|_| step.more);
    let next = last.map(|row| Position::Document { at: row.timestamp, id: row.id.bytes() });
    list::answer(&state, &scope, step.found.into_iter().map(HistoryEntry::from).collect(), next).await
}

/// The whole history as CSV.
pub(super) async fn get_csv(
    id: Path<String>,
    query: Query<EventsQuery>,
    state: Data<State>,
) -> Result<HttpResponse, ApiError> {
    whole(&query::device_id("/id", &id)?, query.range()?, &state).await
}

async fn whole(device_id: &DeviceId, range: Range<Timestamp>, state: &State) -> Result<HttpResponse, ApiError> {
    let rows = state.store.sync_events().whole_history(device_id, range).await?;
    Ok(csv::answer("sync-events.csv", HEAD, rows.map_ok(line)))
}

fn line(row: StoredEvent) -> Line {
    let row = HistoryEntry::from(row);
    let line = Line::default().plain(row.id).text(&row.device_id).plain(row.timestamp);
    let line = line.plain(row.total_files_synced).plain(row.total_errors).plain(row.internet_speed);
    line.maybe(row.device_timestamp).plain(row.clock_suspect).plain(row.created_at).plain(row.updated_at)
}
