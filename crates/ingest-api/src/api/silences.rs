//! `/api/v1/silences`: lists, creates, ends and previews silences.
#![expect(unused_qualifications, reason = "what utoipa makes of params")]

use actix_web::{
    HttpRequest, HttpResponse,
    web::{Data, Path, Payload, Query},
};
use jiff::Timestamp;
use pisync_core::{
    models::{Silence, SilenceEnd, SilenceId},
    time::parse_time,
};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};

use super::{
    operator,
    silence_item::{ReachItem, SilenceBody, SilenceItem, matchers},
};
use crate::{
    http::{auth::Caller, error::ApiError, reads},
    state::State,
};

/// Maximum number of silences in the list.
const LISTED: u32 = 1_000;

/// The silences that have not ended.
#[derive(Serialize, ToSchema)]
pub(super) struct SilenceList {
    items: Vec<SilenceItem>,
}

/// A silence to preview.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct PreviewQuery {
    /// One matcher per line.
    #[param(min_length = 1)]
    matchers: String,
}

/// Returns the active and the future silences.
#[utoipa::path(
    get,
    path = "/api/v1/silences",
    tag = "fleet",
    operation_id = "silences",
    summary = "Active and future silences, those with the latest end first",
    responses((status = 200, description = "At most 1,000", body = SilenceList))
)]
pub(super) async fn get(state: Data<State>) -> Result<HttpResponse, ApiError> {
    let now = Timestamp::now();
    let silences = state.store.silences().not_over(now, LISTED).await?;
    let items = silences.iter().map(|silence| SilenceItem::new(silence, now)).collect();
    Ok(HttpResponse::Ok().json(SilenceList { items }))
}

/// Creates a silence.
#[utoipa::path(
    post,
    path = "/api/v1/silences",
    tag = "fleet",
    operation_id = "addSilence",
    summary = "Create a silence",
    request_body = SilenceBody,
    responses((status = 201, description = "The silence", body = SilenceItem))
)]
pub(super) async fn post(
    request: HttpRequest,
    payload: Payload,
    caller: Caller,
    state: Data<State>,
) -> Result<HttpResponse, ApiError> {
    let body: SilenceBody = operator::read(&request, payload).await?;
    let now = Timestamp::now();
    let starts_at = time("/startsAt", body.starts_at.as_ref())?.unwrap_or(now);
    let end = match time("/endsAt", body.ends_at.as_ref())? {
        Some(at) if at <= starts_at.max(now) => {
            return Err(ApiError::invalid("/endsAt", "must be in the future and after the start"));
        }
        Some(at) => SilenceEnd::At(at),
        None => SilenceEnd::Resolved { has_matched: false },
    };
    let silence = Silence {
        id: state.store.silences().new_id(),
        matchers: matchers(body.matchers.iter().map(String::as_str))?,
        starts_at,
        end,
        by: operator::name(caller.key_id(), body.by.as_deref())?,
        comment: operator::comment(&body.comment)?.to_owned(),
        created_at: now,
    };
    state.store.silences().add(&silence).await?;
    Ok(HttpResponse::Created().json(SilenceItem::new(&silence, now)))
}

/// Ends a silence now.
#[utoipa::path(
    delete,
    path = "/api/v1/silences/{id}",
    tag = "fleet",
    operation_id = "endSilence",
    summary = "End a silence now",
    params(("id" = String, Path, description = "The silence", pattern = "^[0-9a-f]{24}$")),
    responses((status = 204, description = "Ended"))
)]
pub(super) async fn delete(id: Path<String>, state: Data<State>) -> Result<HttpResponse, ApiError> {
    let id = SilenceId::parse(&id).ok_or(ApiError::Unknown("silence"))?;
    if state.store.silences().expire(id, Timestamp::now()).await? {
        return Ok(HttpResponse::NoContent().finish());
    }
    Err(ApiError::Unknown("silence"))
}

/// Returns the reach of a silence.
#[utoipa::path(
    get,
    path = "/api/v1/silences/preview",
    tag = "fleet",
    operation_id = "previewSilence",
    summary = "Number of devices and open alerts that a silence would match",
    params(PreviewQuery),
    responses((status = 200, description = "How many", body = ReachItem))
)]
pub(super) async fn preview(query: Query<PreviewQuery>, state: Data<State>) -> Result<HttpResponse, ApiError> {
    let lines: Vec<_> = query.matchers.lines().collect();
    let (silences, matchers) = (state.store.silences(), matchers(lines.into_iter())?);
    let reach = reads::compute(async move { silences.reach(&matchers).await }).await?;
    Ok(HttpResponse::Ok().json(ReachItem::from(reach)))
}

fn time(pointer: &'static str, value: Option<&Value>) -> Result<Option<Timestamp>, ApiError> {
    let text = match value {
        None | Some(Value::Null) => return Ok(None),
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
    };
    let expected = "must be RFC 3339 with an offset, or integer milliseconds since 1970";
    parse_time(&text).map(Some).ok_or_else(|| ApiError::invalid(pointer, expected))
}
