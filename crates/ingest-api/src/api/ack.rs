//! `/api/v1/alerts/{id}/ack`: acknowledges an incident, or withdraws that.

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

/// The author of an acknowledgement, and a comment.
#[derive(Debug, Deserialize, Serialize, ToSchema)]
pub(super) struct AckBody {
    /// Name of the author; the id of the key is stored beside it.
    #[schema(min_length = 1, max_length = 128, required = false)]
    by: Option<String>,
    /// Comment, such as the reason.
    #[serde(default)]
    #[schema(max_length = 1_000, required = false)]
    comment: String,
}

/// Acknowledges an incident: its notifications are not repeated; its resolution is still sent.
#[utoipa::path(
    post,
    path = "/api/v1/alerts/{id}/ack",
    tag = "fleet",
    operation_id = "ackAlert",
    summary = "Acknowledge an incident",
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

/// Withdraws the acknowledgement of an incident: its notifications are repeated again.
#[utoipa::path(
    delete,
    path = "/api/v1/alerts/{id}/ack",
    tag = "fleet",
    operation_id = "unackAlert",
    summary = "Withdraw an acknowledgement",
    params(("id" = String, Path, description = "The incident", pattern = "^[0-9a-f]{24}$")),
    responses((status = 200, description = "The incident", body = AlertItem))
)]
pub(super) async fn delete(id: Path<String>, state: Data<State>) -> Result<HttpResponse, ApiError> {
    Ok(HttpResponse::Ok().json(AlertItem::from(set(&state, &id, None).await?)))
}

/// Stores the acknowledgement of an incident, or none; returns the updated incident.
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
