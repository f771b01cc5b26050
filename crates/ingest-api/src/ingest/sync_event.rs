//! `POST /api/sync-event`: one report of one device.

use actix_web::{
    HttpRequest, HttpResponse,
    http::{StatusCode, header::ContentType},
    web::{Data, Payload},
};
use jiff::Timestamp;
use pisync_core::{
    models::{Report, ReportBody},
    time::in_millis,
};
use serde::Serialize;
use utoipa::ToSchema;

use super::{bodies, ignored::Ignored};
use crate::{
    http::{auth::Caller, error::ApiError},
    state::State,
};

const MESSAGE: &str = "Sync event queued successfully";

/// The answer to nearly every report, made once.
const QUEUED: &str = r#"{"success":true,"message":"Sync event queued successfully"}"#;

/// The answer to an accepted report.
#[derive(Serialize, ToSchema)]
struct Queued {
    success: bool,
    message: &'static str,
    /// Parts left out of the report; absent if there are none.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false)]
    ignored: Vec<Ignored>,
}

/// Parses the report, queues it, and answers 202 once Redis has it, never before.
#[utoipa::path(
    post,
    path = "/api/sync-event",
    tag = "devices",
    operation_id = "reportSync",
    summary = "Report one sync attempt",
    request_body = ReportBody,
    responses((status = 202, description = "Queued; the device may forget the report", body = Queued))
)]
pub(crate) async fn post(
    request: HttpRequest,
    payload: Payload,
    caller: Caller,
    state: Data<State>,
) -> Result<HttpResponse, ApiError> {
    state.limits.has_room(caller.device_id(), caller.key_id())?;
    let body = bodies::one(&request, payload).await?;
    let Report { event, ignored } = Report::from_json(&body, now(), None)?;
    caller.may_post_as(&event.device_id)?;
    state.limits.admit(&event.device_id, caller.key_id())?;
    state.crash.pass("before_push");
    if let Err(error) = state.producer.push(&event).await {
        state.limits.refund(&event.device_id, caller.key_id());
        return Err(error.into());
    }
    state.metrics.accepts.inc();
    state.crash.pass("after_push");
    if !ignored.is_empty() {
        let ignored: Vec<_> = ignored.into_iter().map(|ignored| Ignored::new(0, ignored)).collect();
        state.metrics.ignored(ignored.iter().map(Ignored::member));
        return Ok(HttpResponse::Accepted().json(Queued { success: true, message: MESSAGE, ignored }));
    }
    Ok(HttpResponse::build(StatusCode::ACCEPTED).content_type(ContentType::json()).body(QUEUED))
}

/// Returns the time of receipt, in milliseconds like all stored times.
pub(super) fn now() -> Timestamp {
    in_millis(Timestamp::now())
}
