//! `GET /api/v1/alerts`: the incidents, newest first.
#![expect(unused_qualifications, reason = "what utoipa makes of params")]

use std::collections::BTreeMap;

use actix_web::{
    HttpResponse,
    web::{Data, Query},
};
use pisync_core::{
    models::{AlertId, AlertState, DeviceId, FleetStats, Incident, OutboxEntry},
    store::{AlertFilter, InhibitionFilter},
    time::rfc3339,
};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};

use super::{
    list::{self, ListPage},
    query,
};
use crate::{
    http::{
        cursor::{BadCursor, CursorBinding, Position},
        error::ApiError,
    },
    state::State,
};

/// The query, as received.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(rename_all = "camelCase")]
#[into_params(parameter_in = Query)]
pub(crate) struct AlertsQuery {
    /// `pending`, `firing` or `resolved`; default: all.
    #[param(pattern = "^(pending|firing|resolved)$")]
    state: Option<String>,
    /// Id of the device; default: all devices.
    #[param(min_length = 1, max_length = 2_048, format = "device-id")]
    device_id: Option<String>,
    /// Id of the alert that inhibits the incidents.
    #[param(pattern = "^[0-9a-f]{24}$")]
    held_by: Option<String>,
    /// The `nextCursor` of the previous page, for the same query.
    pub(crate) cursor: Option<String>,
    /// 1 to 200; default: 50.
    #[param(value_type = u32, required = false, minimum = 1, maximum = 200)]
    limit: Option<String>,
}

/// An incident.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct AlertItem {
    id: String,
    alertname: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    device_id: Option<String>,
    /// Labels that the device had when it opened.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    #[schema(required = false)]
    labels: BTreeMap<String, String>,
    /// The part of the fleet that it is about; absent if it is about all or one device.
    #[serde(skip_serializing_if = "Option::is_none")]
    scope: Option<ScopeItem>,
    state: &'static str,
    /// Failed syncs of the device in a row at the last notification; `failureCount` of the device goes on. For
    /// an alert of many devices, their present number.
    failure_count: i32,
    /// The cause at the last notification.
    cause: &'static str,
    /// Speed of the newest failed sync in Mbps, the evidence of the cause; 0 if none was measured.
    #[serde(skip_serializing_if = "Option::is_none")]
    speed: Option<f64>,
    /// Typical speed of the device's good syncs in Mbps, if it was known.
    #[serde(skip_serializing_if = "Option::is_none")]
    usual_speed: Option<f64>,
    starts_at: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    ends_at: Option<String>,
    /// Findings of the rule, if it is about more than consecutive syncs.
    #[serde(skip_serializing_if = "Option::is_none")]
    finding: Option<FindingItem>,
    /// The acknowledgement.
    #[serde(skip_serializing_if = "Option::is_none")]
    acked: Option<AckItem>,
    /// Ids of the silences that silenced it at the last evaluation.
    silenced_by: Vec<String>,
    /// Id of the alert that inhibited it at the last evaluation.
    #[serde(skip_serializing_if = "Option::is_none")]
    inhibited_by: Option<String>,
    /// Whether its device is flapping, which suppresses notifications of single changes.
    flapping: bool,
    /// Messages to be sent, in their order; empty once all are delivered or dead.
    waiting: Vec<WaitingMessage>,
    /// Messages whose retries have ended, oldest first.
    dead: Vec<DeadMessage>,
}

/// The findings of a rule about many devices, or about many syncs of one.
#[derive(Serialize, ToSchema)]
struct FindingItem {
    /// Number of affected devices; for a flapping device, the number of its transitions.
    part: u64,
    /// Number of all devices; for a flapping device, the number of possible transitions.
    whole: u64,
    /// Further findings of the rule, by name: counts, minutes, times.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    #[schema(required = false)]
    facts: BTreeMap<String, Value>,
    /// Common properties of the affected devices, in words, the surest first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false)]
    changed: Vec<String>,
    /// Ids of some affected devices.
    named: Vec<String>,
}

/// The devices with a value of a label.
#[derive(Serialize, ToSchema)]
struct ScopeItem {
    label: String,
    value: String,
}

/// An acknowledgement.
#[derive(Serialize, ToSchema)]
struct AckItem {
    by: String,
    comment: String,
    at: String,
}

/// A message to be sent.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct WaitingMessage {
    /// Kind of notification: firing, repeat or resolved.
    status: &'static str,
    /// Name of the receiver.
    receiver: String,
    /// Number of delivery attempts that were begun.
    attempts: i32,
    /// Earliest time of the next attempt.
    next_at: String,
    /// Error of the last attempt, if it failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    why: Option<String>,
}

/// A message that could not be delivered.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct DeadMessage {
    /// Kind of notification: firing, repeat or resolved.
    status: &'static str,
    /// Name of the receiver.
    receiver: String,
    /// Number of delivery attempts that were begun.
    attempts: i32,
    /// Time of the last attempt.
    at: String,
    /// Last error of the receiver.
    why: String,
}

/// Returns a page of the incidents that match the query.
#[utoipa::path(
    get,
    path = "/api/v1/alerts",
    tag = "fleet",
    operation_id = "alerts",
    summary = "Incidents, newest first",
    params(AlertsQuery),
    responses((status = 200, description = "A page", body = ListPage<AlertItem>))
)]
pub(crate) async fn get(query: Query<AlertsQuery>, state: Data<State>) -> Result<HttpResponse, ApiError> {
    let filter = query.filter()?;
    let binding = query.cursor_binding("alerts");
    let limit = query::limit(query.limit.as_deref())?;
    let after = match list::place(&state, &binding, query.cursor.as_deref())? {
        Some(Position::Document { at, id }) => Some((at, AlertId::from_bytes(id))),
        Some(_) => return Err(BadCursor.into()),
        None => None,
    };
    let step = state.store.alerts().list(&filter, after, limit).await?;
    let last = step.found.last().filter(|_| step.more);
    let next = last.map(|listed| Position::Document { at: listed.alert.starts_at, id: listed.alert.id.bytes() });
    Ok(list::answer(&state, &binding, step.found.into_iter().map(AlertItem::from).collect(), next))
}

impl AlertsQuery {
    /// Removes empty members: a form sends all its fields.
    pub(crate) fn without_empty(self) -> Self {
        let said = |field: Option<String>| field.filter(|text| !text.is_empty());
        Self {
            state: said(self.state),
            device_id: said(self.device_id),
            held_by: said(self.held_by),
            cursor: said(self.cursor),
            limit: said(self.limit),
        }
    }

    pub(crate) fn filter(&self) -> Result<AlertFilter, ApiError> {
        let state = self.state.as_deref().map(|word| {
            AlertState::parse(word).ok_or_else(|| ApiError::invalid("/state", "must be pending, firing or resolved"))
        });
        let device_id = self.device_id.as_deref().map(|id| query::device_id("/deviceId", id));
        let held_by = self
            .held_by
            .as_deref()
            .map(|id| AlertId::parse(id).ok_or_else(|| ApiError::invalid("/heldBy", "must be the id of an alert")));
        let inhibition = held_by.transpose()?.map_or(InhibitionFilter::Any, InhibitionFilter::By);
        Ok(AlertFilter { state: state.transpose()?, device_id: device_id.transpose()?, inhibition })
    }

    /// Returns the binding of this list's cursors.
    pub(crate) fn cursor_binding(&self, list: &str) -> CursorBinding {
        CursorBinding::of(list)
            .with(self.state.as_deref())
            .with(self.device_id.as_deref())
            .with(self.held_by.as_deref())
    }
}

impl From<Incident> for AlertItem {
    fn from(incident: Incident) -> Self {
        let alert = &incident.alert;
        Self {
            id: alert.id.to_string(),
            alertname: alert.name.to_string(),
            device_id: alert.device_id().map(DeviceId::to_string),
            labels: alert.labels.to_map(),
            scope: alert.scope().cloned().map(|scope| ScopeItem { label: scope.label, value: scope.value }),
            state: alert.state.as_str(),
            failure_count: alert.failure_count,
            cause: alert.cause.as_str(),
            speed: alert.evidence.map(|evidence| evidence.speed),
            usual_speed: alert.evidence.and_then(|evidence| evidence.usual),
            starts_at: rfc3339(alert.starts_at),
            ends_at: alert.ends_at.map(rfc3339),
            finding: alert.finding.as_ref().map(FindingItem::from),
            silenced_by: incident.silenced_by.iter().map(AlertId::to_string).collect(),
            inhibited_by: incident.inhibited_by.map(|id| id.to_string()),
            flapping: incident.flapping,
            waiting: incident.outbox.iter().map(WaitingMessage::from).collect(),
            dead: incident.dead.iter().map(DeadMessage::from).collect(),
            acked: incident.acked.map(|ack| AckItem { by: ack.by, comment: ack.comment, at: rfc3339(ack.at) }),
        }
    }
}

impl From<&FleetStats> for FindingItem {
    fn from(finding: &FleetStats) -> Self {
        Self {
            part: finding.part,
            whole: finding.whole,
            facts: finding.facts.clone(),
            changed: finding.changed.clone(),
            named: finding.examples.iter().map(DeviceId::to_string).collect(),
        }
    }
}

impl From<&OutboxEntry> for WaitingMessage {
    fn from(entry: &OutboxEntry) -> Self {
        Self {
            status: entry.kind.as_str(),
            receiver: entry.receiver.clone(),
            attempts: entry.attempts,
            next_at: rfc3339(entry.next_at),
            why: entry.last_error.clone(),
        }
    }
}

impl From<&OutboxEntry> for DeadMessage {
    fn from(entry: &OutboxEntry) -> Self {
        let dead = entry.dead.as_ref();
        Self {
            status: entry.kind.as_str(),
            receiver: entry.receiver.clone(),
            attempts: entry.attempts,
            at: dead.map(|dead| rfc3339(dead.at)).unwrap_or_default(),
            why: dead.map(|dead| dead.why.clone()).unwrap_or_default(),
        }
    }
}
