//! `GET /api/v1/alerts`: the incidents, those that began last first.
#![expect(unused_qualifications, reason = "what utoipa makes of params")]

use actix_web::{
    HttpResponse,
    web::{Data, Query},
};
use pisync_core::{
    models::{AlertId, AlertState},
    store::{AlertFilter, ListedAlert},
};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::{
    super::sync_history::rfc3339,
    list::{self, ListPage},
    query,
};
use crate::{
    cursor::{BadCursor, Position, Scope},
    error::ApiError,
    server::State,
};

/// The query, as it came.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(rename_all = "camelCase")]
#[into_params(parameter_in = Query)]
pub(crate) struct AlertsQuery {
    /// `firing` or `resolved`; both unless set.
    #[param(pattern = "^(firing|resolved)$")]
    state: Option<String>,
    /// Of this device alone.
    #[param(min_length = 1, max_length = 128, format = "device-id")]
    device_id: Option<String>,
    /// The `nextCursor` of the page before, for the same query.
    pub(crate) cursor: Option<String>,
    /// 1 to 200; 50 unless set.
    #[param(value_type = u32, required = false, minimum = 1, maximum = 200)]
    limit: Option<String>,
}

/// An incident.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct AlertItem {
    id: String,
    alertname: &'static str,
    device_id: String,
    state: &'static str,
    failure_count: i32,
    cause: &'static str,
    starts_at: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    ends_at: Option<String>,
    /// Messages that still have to leave, in their order; none once people know how it stands.
    waiting: Vec<WaitingMessage>,
}

/// A message that still has to leave.
#[derive(Serialize, ToSchema)]
struct WaitingMessage {
    /// What it says: firing or resolved.
    status: &'static str,
    /// How often its delivery was begun.
    attempts: i32,
}

/// A page of the incidents that fit the query.
#[utoipa::path(
    get,
    path = "/api/v1/alerts",
    tag = "fleet",
    operation_id = "alerts",
    summary = "The incidents, those that began last first",
    params(AlertsQuery),
    responses((status = 200, description = "A page", body = ListPage<AlertItem>))
)]
pub(crate) async fn get(query: Query<AlertsQuery>, state: Data<State>) -> Result<HttpResponse, ApiError> {
    let filter = query.filter()?;
    let limit = query::limit(query.limit.as_deref())?;
    let scope = Scope::of("alerts").with(filter.state.map(AlertState::as_str)).with(filter.device_id.as_ref());
    let after = match list::place(&state, &scope, query.cursor.as_deref()).await? {
        Some(Position::Document { at, id }) => Some((at, AlertId::from_bytes(id))),
        Some(_) => return Err(BadCursor.into()),
        None => None,
    };
    let step = state.store.alerts().list(&filter, after, limit).await?;
    let last = step.found.last().filter(|_| step.more);
    let next = last.map(|listed| Position::Document { at: listed.alert.starts_at, id: listed.alert.id.bytes() });
    list::answer(&state, &scope, step.found.into_iter().map(AlertItem::from).collect(), next).await
}

impl AlertsQuery {
    /// The query of a form, whose fields are there and empty where nothing is said.
    pub(crate) fn without_empty(self) -> Self {
        let said = |field: Option<String>| field.filter(|text| !text.is_empty());
        Self {
            state: said(self.state),
            device_id: said(self.device_id),
            cursor: said(self.cursor),
            limit: said(self.limit),
        }
    }

    pub(crate) fn filter(&self) -> Result<AlertFilter, ApiError> {
        let state = self
            .state
            .as_deref()
            .map(|word| AlertState::parse(word).ok_or_else(|| ApiError::query("/state", "must be firing or resolved")));
        let device_id = self.device_id.as_deref().map(|id| query::device_id("/deviceId", id));
        Ok(AlertFilter { state: state.transpose()?, device_id: device_id.transpose()? })
    }
}

impl From<ListedAlert> for AlertItem {
    fn from(ListedAlert { alert, waiting }: ListedAlert) -> Self {
        let waiting = waiting.into_iter();
        Self {
            id: alert.id.to_string(),
            alertname: alert.name.as_str(),
            device_id: alert.device_id.to_string(),
            state: alert.state.as_str(),
            failure_count: alert.failure_count,
            cause: alert.cause.as_str(),
            starts_at: rfc3339(alert.starts_at),
            ends_at: alert.ends_at.map(rfc3339),
            waiting: waiting.map(|(said, attempts)| WaitingMessage { status: said.as_str(), attempts }).collect(),
        }
    }
}
