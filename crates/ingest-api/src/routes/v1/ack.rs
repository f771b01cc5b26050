//! `POST /api/v1/alerts/{id}/ack`: someone takes an incident on.

use actix_web::{
    HttpRequest, HttpResponse,
    web::{Data, Path, Payload},
};
use jiff::Timestamp;
use pisync_core::{
    models::{Ack, AlertId},
    store::Saved,
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{alerts::AlertItem, operator};
use crate::{auth::Caller, error::ApiError, server::State};

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
    let by = operator::name(&caller, body.by.as_deref())?;
    let comment = operator::comment(&body.comment)?.to_owned();
    let id = AlertId::parse(&id).ok_or(ApiError::Unknown("alert"))?;
    let ack = Ack { by, comment, at: Timestamp::now() };
    loop {
        let mut kept = state.store.alerts().find(id).await?.ok_or(ApiError::Unknown("alert"))?;
        kept.incident.acked = Some(ack.clone());
        if state.store.alerts().save(std::slice::from_ref(&kept)).await? == Saved::All {
            return Ok(HttpResponse::Ok().json(AlertItem::from(kept.incident)));
        }
    }
}
