//! `POST /api/sync-event`: one report of one device.

use actix_web::{
    HttpRequest, HttpResponse,
    http::{StatusCode, header::ContentType},
    web::{Data, Payload},
};
use jiff::Timestamp;
use pisync_core::models::SyncEvent;
use utoipa::ToSchema;

use super::{openapi::Report, report_body};
use crate::{auth::Caller, error::ApiError, server::State};

/// The answer to a report that was taken.
#[derive(ToSchema)]
#[expect(dead_code, reason = "the answer is always the same; this is its description")]
struct Queued {
    success: bool,
    message: String,
}

/// Parses the event, queues it, and answers 202 once Redis has it; never before.
#[utoipa::path(
    post,
    path = "/api/sync-event",
    tag = "devices",
    operation_id = "reportSync",
    summary = "Report one sync attempt",
    request_body = Report,
    responses((status = 202, description = "Queued; the device may forget the report", body = Queued))
)]
pub(super) async fn post(
    request: HttpRequest,
    payload: Payload,
    caller: Caller,
    state: Data<State>,
) -> Result<HttpResponse, ApiError> {
    let body = report_body::one(&request, payload).await?;
    let event = SyncEvent::from_json(&body, now())?;
    caller.may_post_as(&event.device_id)?;
    state.limits.admit(&event.device_id, caller.key_id())?;
    state.crash.pass("before_push");
    if let Err(error) = state.producer.push(&event).await {
        state.limits.give_back(&event.device_id, caller.key_id());
        return Err(error.into());
    }
    state.metrics.accepts.inc();
    state.crash.pass("after_push");
    Ok(HttpResponse::build(StatusCode::ACCEPTED)
        .content_type(ContentType::json())
        .body(r#"{"success":true,"message":"Sync event queued successfully"}"#))
}

/// The time of receipt, in milliseconds as everything that is stored.
pub(super) fn now() -> Timestamp {
    let now = Timestamp::now();
    Timestamp::from_millisecond(now.as_millisecond()).unwrap_or(now)
}
