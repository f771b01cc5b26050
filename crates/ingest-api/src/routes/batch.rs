//! `POST /api/v1/sync-events`: many reports at once, of one device or of many.

use actix_web::{
    HttpRequest, HttpResponse,
    web::{Bytes, Data, Payload},
};
use jiff::{SignedDuration, Timestamp};
use pisync_core::models::{Batch, InvalidBatch, InvalidEvent, SyncEvent, next_report_in};
use serde::Serialize;
use utoipa::ToSchema;

use super::{body::Form, openapi::Reports, report_body, sync_event::now};
use crate::{auth::Caller, error::ApiError, server::State};

/// What became of a batch.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Answer {
    /// How many reports are queued.
    accepted: usize,
    /// The others.
    rejected: Vec<Rejected>,
    /// In how many seconds to report again, where all reports are of one device and the server
    /// spreads its fleet.
    #[serde(skip_serializing_if = "Option::is_none")]
    next_report_in: Option<i64>,
}

/// A report that was not taken.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Rejected {
    /// Its place in the batch, from 0.
    index: usize,
    /// A short stable word: `malformed`, `missing`, `invalid`, `forbidden`, or `too_fast`, which
    /// may be sent again later.
    code: &'static str,
    /// What is wrong, for people.
    detail: String,
}

/// Queues the good reports and names the bad ones; 202 once Redis has all of the good ones.
#[utoipa::path(
    post,
    path = "/api/v1/sync-events",
    tag = "devices",
    operation_id = "reportSyncs",
    summary = "Report many sync attempts",
    description = "Each report stands for itself: bad ones are named and do not fail the good ones. 400 where none is good.",
    request_body(content(
        (Reports = "application/json"),
        (String = "application/x-ndjson"),
    )),
    responses((status = 202, description = "The good reports are queued", body = Answer))
)]
pub(super) async fn post(
    request: HttpRequest,
    payload: Payload,
    caller: Caller,
    state: Data<State>,
) -> Result<HttpResponse, ApiError> {
    let (form, body) = report_body::many(&request, payload).await?;
    let batch = read(form, &body)?;
    if batch.reports.iter().all(Result::is_err) {
        return Err(batch.faults().into());
    }
    let (events, rejected) = sort(batch, &caller, &state);
    if events.is_empty() {
        return Err(first_refusal(rejected));
    }
    let rejected = rejected.into_iter().map(|(rejected, _)| rejected).collect();
    state.crash.pass("before_push");
    if let Err(error) = state.producer.push_all(&events).await {
        for event in &events {
            state.limits.give_back(&event.device_id, caller.key_id());
        }
        return Err(error.into());
    }
    state.metrics.accepts.inc_by(events.len() as u64);
    state.crash.pass("after_push");
    let next_report_in = state.report_interval.and_then(|interval| next_report(&events, interval, now()));
    Ok(HttpResponse::Accepted().json(Answer { accepted: events.len(), rejected, next_report_in }))
}

fn read(form: Form, body: &Bytes) -> Result<Batch, InvalidBatch> {
    match form {
        Form::Json => Batch::from_json(body, now()),
        Form::Lines => Batch::from_lines(body, now()),
    }
}

/// The reports to queue, and the others with why.
fn sort(batch: Batch, caller: &Caller, state: &State) -> (Vec<SyncEvent>, Vec<(Rejected, ApiError)>) {
    let (mut events, mut rejected) = (Vec::with_capacity(batch.reports.len()), Vec::new());
    for (index, report) in batch.reports.into_iter().enumerate() {
        match admit(report, caller, state) {
            Ok(event) => events.push(event),
            Err(error) => rejected.push((Rejected { index, code: error.code(), detail: error.to_string() }, error)),
        }
    }
    (events, rejected)
}

fn admit(report: Result<SyncEvent, InvalidEvent>, caller: &Caller, state: &State) -> Result<SyncEvent, ApiError> {
    let event = report?;
    caller.may_post_as(&event.device_id)?;
    state.limits.admit(&event.device_id, caller.key_id())?;
    Ok(event)
}

/// In how many seconds the device that all these are of is to report again.
fn next_report(events: &[SyncEvent], interval: SignedDuration, now: Timestamp) -> Option<i64> {
    let device = &events.first()?.device_id;
    let is_one = events.iter().all(|event| event.device_id == *device);
    is_one.then(|| next_report_in(device, interval, now).as_secs())
}

/// The answer where nothing was taken though not all is invalid: to try again, if that helps any.
fn first_refusal(rejected: Vec<(Rejected, ApiError)>) -> ApiError {
    let (mut fast, mut others): (Vec<_>, Vec<_>) =
        rejected.into_iter().map(|(_, error)| error).partition(|error| matches!(error, ApiError::TooFast { .. }));
    others.retain(|error| !matches!(error, ApiError::Invalid(_)));
    fast.pop().or(others.pop()).unwrap_or_else(|| ApiError::malformed("holds no events"))
}
