//! `GET /alerts`: the incidents, and which messages about them have not left yet.

use actix_web::{
    HttpRequest, HttpResponse,
    web::{Data, Query},
};
use askama::Template;
use jiff::Timestamp;
use pisync_core::{
    models::{AlertId, AlertState, Entry, Incident},
    store::AlertFilter,
};

use super::{
    devices::{href, next_page},
    moment::{Moment, Span},
    page::{Frame, PageError, render},
    viewer::Viewer,
};
use crate::{
    cursor::{BadCursor, Position, Scope},
    error::ApiError,
    routes::v1::{alerts::AlertsQuery, list},
    server::State,
};

/// How many incidents a page has.
const LIMIT: u32 = 100;

/// Incidents of one rule, one cause and one state.
struct Group {
    name: &'static str,
    cause: &'static str,
    is_firing: bool,
    count: usize,
    incidents: Vec<Row>,
}

struct Row {
    device_id: String,
    href: String,
    failures: i32,
    began: Moment,
    lasted: String,
    waiting: Vec<String>,
}

#[derive(Template)]
#[template(path = "alerts.html")]
struct AlertsPage {
    frame: Frame,
    state: &'static str,
    device_id: String,
    groups: Vec<Group>,
    next: Option<String>,
}

/// A page of the incidents: those that are open, unless others are asked for.
pub(super) async fn get(
    request: HttpRequest,
    viewer: Viewer,
    query: Query<AlertsQuery>,
    state: Data<State>,
) -> Result<HttpResponse, PageError> {
    let query = query.into_inner().without_empty();
    let asked = query.filter()?;
    let is_all = request.query_string().split('&').any(|member| member == "state=");
    let only = asked.state.or((!is_all).then_some(AlertState::Firing));
    let filter = AlertFilter { state: only, ..asked };
    let scope = Scope::of("alerts page").with(filter.state.map(AlertState::as_str)).with(filter.device_id.as_ref());
    let after = match list::place(&state, &scope, query.cursor.as_deref()).await? {
        Some(Position::Document { at, id }) => Some((at, AlertId::from_bytes(id))),
        Some(_) => return Err(ApiError::from(BadCursor).into()),
        None => None,
    };
    let step = state.store.alerts().list(&filter, after, LIMIT).await.map_err(ApiError::from)?;
    let next = match step.found.last().filter(|_| step.more) {
        Some(last) => {
            let position = Position::Document { at: last.alert.starts_at, id: last.alert.id.bytes() };
            Some(next_page(&request, &state.cursor_keys.key().await.map_err(ApiError::from)?.seal(&scope, &position)))
        }
        None => None,
    };
    Ok(render(&AlertsPage {
        frame: Frame::new("Alerts", "/alerts", &viewer),
        state: filter.state.map_or("", AlertState::as_str),
        device_id: filter.device_id.as_ref().map(ToString::to_string).unwrap_or_default(),
        groups: grouped(step.found, Timestamp::now()),
        next,
    }))
}

/// Those that are alike together, each group in the order of the list.
fn grouped(found: Vec<Incident>, now: Timestamp) -> Vec<Group> {
    let mut groups = Vec::<Group>::new();
    for listed in found {
        let alert = &listed.alert;
        let (name, cause) = (alert.name.as_str(), alert.cause.as_str());
        let is_firing = alert.state == AlertState::Firing;
        let place =
            groups.iter().position(|group| (group.name, group.cause, group.is_firing) == (name, cause, is_firing));
        let place = place.unwrap_or_else(|| {
            groups.push(Group { name, cause, is_firing, count: 0, incidents: Vec::new() });
            groups.len() - 1
        });
        groups[place].count += 1;
        groups[place].incidents.push(Row::new(&listed, now));
    }
    groups
}

impl Row {
    fn new(Incident { alert, outbox, dead, .. }: &Incident, now: Timestamp) -> Self {
        let device_id = alert.device_id().map(ToString::to_string).unwrap_or_default();
        let end = alert.ends_at.unwrap_or(now);
        let waits = |entry: &Entry| {
            let (said, receiver) = (entry.telling.as_str(), &entry.receiver);
            match entry.attempts {
                0 => format!("\u{201c}{said}\u{201d} waits to be sent to {receiver}"),
                1 => format!("\u{201c}{said}\u{201d}: sent once to {receiver}, not confirmed"),
                tries => format!("\u{201c}{said}\u{201d}: {tries} tries to {receiver}, none confirmed"),
            }
        };
        let given_up = |entry: &Entry| {
            let why = entry.dead.as_ref().map_or("", |dead| dead.why.as_str());
            format!("\u{201c}{}\u{201d} could not be delivered to {}: {why}", entry.telling.as_str(), entry.receiver)
        };
        Self {
            href: href(&device_id),
            device_id,
            failures: alert.failure_count,
            began: Moment::new(alert.starts_at, now),
            lasted: Span((end.as_second() - alert.starts_at.as_second()).max(0)).to_string(),
            waiting: outbox.iter().map(waits).chain(dead.iter().map(given_up)).collect(),
        }
    }
}
