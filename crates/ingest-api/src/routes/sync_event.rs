//! `POST /api/sync-event`: one report of one device.

use actix_web::{
    HttpRequest, HttpResponse,
    error::PayloadError,
    http::{StatusCode, header::ContentType},
    web::{Bytes, Data},
};
use jiff::Timestamp;
use pisync_core::models::{FieldError, SyncEvent};

use super::BODY_LIMIT;
use crate::{auth::Caller, error::ApiError, server::State};

/// Parses the event, queues it, and answers 202 once Redis has it; never before.
pub(super) async fn post(
    request: HttpRequest,
    body: Result<Bytes, actix_web::Error>,
    caller: Caller,
    state: Data<State>,
) -> Result<HttpResponse, ApiError> {
    require_json(&request)?;
    let body = body.map_err(|error| unreadable(&error))?;
    let event = SyncEvent::from_json(&body, now())?;
    caller.may_post_as(&event.device_id)?;
    state.crash.pass("before_push");
    state.producer.push(&event).await?;
    state.crash.pass("after_push");
    Ok(HttpResponse::build(StatusCode::ACCEPTED)
        .content_type(ContentType::json())
        .body(r#"{"success":true,"message":"Sync event queued successfully"}"#))
}

/// The time of receipt, in milliseconds as everything that is stored.
fn now() -> Timestamp {
    let now = Timestamp::now();
    Timestamp::from_millisecond(now.as_millisecond()).unwrap_or(now)
}

/// A body without a type is taken for JSON; one that says it is something else is not.
fn require_json(request: &HttpRequest) -> Result<(), ApiError> {
    let media_type = actix_web::HttpMessage::content_type(request);
    let subtype = media_type.split_once('/').map(|(_, subtype)| subtype);
    let is_json =
        media_type.is_empty() || subtype.is_some_and(|subtype| subtype == "json" || subtype.ends_with("+json"));
    if is_json { Ok(()) } else { Err(ApiError::MediaType) }
}

fn unreadable(error: &actix_web::Error) -> ApiError {
    match error.as_error::<PayloadError>() {
        Some(PayloadError::Overflow) => ApiError::TooLarge { limit: BODY_LIMIT },
        _ if error.as_response_error().status_code() == StatusCode::PAYLOAD_TOO_LARGE => {
            ApiError::TooLarge { limit: BODY_LIMIT }
        }
        _ => ApiError::Invalid(vec![FieldError {
            pointer: "",
            code: "malformed",
            detail: "the body could not be read to its end".into(),
        }]),
    }
}
