//! `POST /api/v1/sync-events`: many reports at once, of one device or of many.

use std::time::Duration;

use actix_web::{
    HttpRequest, HttpResponse,
    web::{Bytes, Data, Payload},
};
use pisync_core::models::{Batch, InvalidBatch, SyncEvent};
use serde::Serialize;
use utoipa::ToSchema;

use super::{
    body::{self, Form},
    openapi::Reports,
    sync_event::now,
};
use crate::{error::ApiError, server::State};

/// What became of a batch.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Answer {
    /// How many reports are queued.
    accepted: usize,
    /// The others.
    rejected: Vec<Rejected>,
}

/// A report that was not taken.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Rejected {
    /// Its place in the batch, from 0.
    index: usize,
    /// A short stable word: `malformed`, `missing`, `invalid`, or `too_fast`, which may be sent
    /// again later.
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
pub(super) async fn post(request: HttpRequest, payload: Payload, state: Data<State>) -> Result<HttpResponse, ApiError> {
    let form =
        body::form(&request).ok_or(ApiError::MediaType { accept: "application/json or application/x-ndjson" })?;
    let batch = read(form, &body::read(&request, payload).await?)?;
    if batch.reports.iter().all(Result::is_err) {
        return Err(batch.faults().into());
    }
    let (events, rejected, wait) = sort(batch, &state);
    if let (true, Some(after)) = (events.is_empty(), wait) {
        return Err(ApiError::TooFast { after });
    }
    state.crash.pass("before_push");
    state.producer.push_all(&events).await?;
    state.metrics.accepts.inc_by(events.len() as u64);
    state.crash.pass("after_push");
    Ok(HttpResponse::Accepted().json(Answer { accepted: events.len(), rejected }))
}

fn read(form: Form, body: &Bytes) -> Result<Batch, InvalidBatch> {
    match form {
        Form::Json => Batch::from_json(body, now()),
        Form::Lines => Batch::from_lines(body, now()),
    }
}

/// The reports to queue, the others, and when the first of those that came too fast may come again.
fn sort(batch: Batch, state: &State) -> (Vec<SyncEvent>, Vec<Rejected>, Option<Duration>) {
    let (mut events, mut rejected, mut wait) = (Vec::with_capacity(batch.reports.len()), Vec::new(), None);
    for (index, report) in batch.reports.into_iter().enumerate() {
        match report {
            Ok(event) => match state.limits.admit(&event.device_id, None) {
                Ok(()) => events.push(event),
                Err(too_fast) => {
                    wait = Some(wait.map_or(too_fast.after, |wait: Duration| wait.min(too_fast.after)));
                    rejected.push(Rejected { index, code: "too_fast", detail: too_fast.to_string() });
                }
            },
            Err(invalid) => {
                let code = invalid.errors.first().map_or("invalid", |fault| fault.code);
                rejected.push(Rejected { index, code, detail: invalid.to_string() });
            }
        }
    }
    (events, rejected, wait)
}
