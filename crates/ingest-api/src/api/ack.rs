//! `/api/v1/alerts/{id}/ack`: someone takes an incident on, or gives it back.

use actix_web::{
    HttpRequest, HttpResponse,
    web::{Data, Path, Payload},
};
use jiff::Timestamp;
use pisync_core::{
    models::{Ack, AlertId, Incident},
    store::{Saved, StoreError},
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{alerts::AlertItem, operator};
use crate::{
    http::{auth::Caller, error::ApiError},
    state::State,
};

/// Who takes it on, and what they say.
#[derive(Debug, Deserialize, Serialize, ToSchema)]
pub(super) struct AckBody {
    /// Who; the id of the key is written beside it.
    #[schema(min_length = 1, max_length = 128, required = false)]
    by: Option<String>,
    /// What they say.
    #[serde(default)]
    #[schema(max_length = 1_000, required = false)]
    comment: String,
}

/// It is not repeated any more; its end is told all the same.
#[utoipa::path(
    post,
    path = "/api/v1/alerts/{id}/ack",
    tag = "fleet",
    operation_id = "ackAlert",
    summary = "Take an incident on",
    params(("id" = String, Path, description = "The incident", pattern = "^[0-9a-f]{24}$")),
    request_body = AckBody,
    responses((status = 200, description = "The incident", body = AlertItem))
)]
pub(super) async fn post(
    request: HttpRequest,
    id: Path<String>,
    payload: Payload,
    caller: Caller,
    state: Data<State>,
) -> Result<HttpResponse, ApiError> {
    let body: AckBody = operator::read(&request, payload).await?;
    let by = operator::name(caller.key_id(), body.by.as_deref())?;
    let comment = operator::comment(&body.comment)?.to_owned();
    let ack = Ack { by, comment, at: Timestamp::now() };
    Ok(HttpResponse::Ok().json(AlertItem::from(set(&state, &id, Some(ack)).await?)))
}

/// Nobody has taken it on any more: it is repeated again.
#[utoipa::path(
    delete,
    path = "/api/v1/alerts/{id}/ack",
    tag = "fleet",
    operation_id = "unackAlert",
    summary = "Give an incident back",
    params(("id" = String, Path, description = "The incident", pattern = "^[0-9a-f]{24}$")),
    responses((status = 200, description = "The incident", body = AlertItem))
)]
pub(super) async fn delete(id: Path<String>, state: Data<State>) -> Result<HttpResponse, ApiError> {
    Ok(HttpResponse::Ok().json(AlertItem::from(set(&state, &id, None).await?)))
}

/// Writes down who has taken an incident on, if anyone; the incident as it is then.
pub(crate) async fn set(state: &State, id: &str, acked: Option<Ack>) -> Result<Incident, ApiError> {
    let id = AlertId::parse(id).ok_or(ApiError::Unknown("alert"))?;
    loop {
        let mut kept = state.store.alerts().find(id).await?.ok_or(ApiError::Unknown("alert"))?;
        kept.incident.acked.clone_from(&acked);
        match state.store.alerts().save(std::slice::from_ref(&kept)).await? {
            Saved::All => return Ok(kept.incident),
            Saved::Conflict => {}
            Saved::Refused => {
                let name = "the incident cannot be saved as it is; the log says why".into();
                return Err(StoreError::Refused { code: 121, name }.into());
            }
        }
    }
}
