//! `/alerts`: the incidents, the delivery of their messages, and their acknowledgement.

use actix_web::{
    HttpRequest, HttpResponse,
    web::{Data, Query},
};
use askama::Template;
use jiff::Timestamp;
use pisync_core::{
    models::{Ack, AlertId, AlertState, Incident},
    store::{AlertFilter, InhibitionFilter},
};
use serde::Deserialize;

use super::{
    devices::next_page,
    form::PageForm,
    incidents::{Counts, Group, grouped},
    inhibited::{self, Inhibited},
    page::{Frame, PageError, go_to, render_with},
    sign_in::begin_for_forms,
    verdict,
    viewer::Viewer,
};
use crate::{
    api::{ack, alerts::AlertsQuery, list, operator},
    http::{
        cursor::{BadCursor, Position},
        error::ApiError,
    },
    state::State,
};

/// Number of incidents on a page.
const LIMIT: u32 = 100;

#[derive(Template)]
#[template(path = "alerts.html")]
struct AlertsPage {
    frame: Frame,
    state: &'static str,
    device_id: String,
    /// Id of the inhibiting alert whose incidents are listed; empty for no filter.
    held_by: String,
    groups: Vec<Group>,
    held: Vec<Inhibited>,
    silences: usize,
    /// The warning that no alerter is running, if so.
    nobody: Option<String>,
    next: Option<String>,
    /// The query, to return to after an action.
    back: String,
    done: &'static str,
}

/// An action on an incident.
#[derive(Deserialize)]
pub(super) struct Order {
    token: String,
    #[serde(default)]
    by: String,
    #[serde(default)]
    comment: String,
    #[serde(default)]
    back: String,
    /// The incident to acknowledge.
    ack: Option<String>,
    /// The incident whose acknowledgement is withdrawn.
    unack: Option<String>,
}

/// Returns a page of the incidents, by default of the open ones. Inhibited incidents are counted apart, so that
/// they do not hide the others.
pub(super) async fn get(
    request: HttpRequest,
    mut viewer: Viewer,
    query: Query<AlertsQuery>,
    state: Data<State>,
) -> Result<HttpResponse, PageError> {
    let query = query.into_inner().without_empty();
    let asked = query.filter()?;
    let is_all = request.query_string().split('&').any(|member| member == "state=");
    let only = asked.state.or((!is_all).then_some(AlertState::Firing));
    let is_plain = asked.inhibition == InhibitionFilter::Any && asked.device_id.is_none();
    let inhibition = if is_plain { InhibitionFilter::Not } else { asked.inhibition };
    let filter = AlertFilter { state: only, inhibition, ..asked };
    let (step, next) = page(&request, &query, &filter, &state).await?;
    let now = Timestamp::now();
    let counts = Counts::of(&state.store, &step).await?;
    let is_first = is_plain && query.cursor.is_none() && only != Some(AlertState::Resolved);
    let held = if is_first { inhibited::all(&state, now).await? } else { Vec::new() };
    let silences = state.store.silences().not_over(now, LIMIT).await.map_err(ApiError::from)?.len();
    // Without an answer of Redis no warning is shown here; the first page has one.
    let liveness = state.fleet.liveness.liveness().await.ok();
    // A viewer without the right to act sees the list without forms.
    let cookie = if viewer.may_operate { begin_for_forms(&request, &mut viewer, &state) } else { None };
    let page = AlertsPage {
        frame: viewer.frame("Alerts", "/alerts"),
        state: filter.state.map_or("", AlertState::as_str),
        device_id: filter.device_id.as_ref().map(ToString::to_string).unwrap_or_default(),
        held_by: if let InhibitionFilter::By(id) = filter.inhibition { id.to_string() } else { String::new() },
        groups: grouped(&step, &counts, now),
        held,
        silences,
        nobody: liveness.and_then(|liveness| verdict::nobody(liveness.alerter_at(now))),
        next,
        back: without_done(request.query_string()),
        done: done(request.query_string()),
    };
    Ok(render_with(cookie, &page))
}

/// Acknowledges an incident, or withdraws that.
pub(super) async fn post(
    viewer: Viewer,
    order: PageForm<Order>,
    state: Data<State>,
) -> Result<HttpResponse, PageError> {
    viewer.may_do(&state, &order.token)?;
    let said = |text: &String| Some(text.trim().to_owned()).filter(|text| !text.is_empty());
    let by = operator::name(viewer.key_id(), said(&order.by).as_deref())?;
    let comment = operator::comment(order.comment.trim())?.to_owned();
    let (id, ack, done) = match (&order.ack, &order.unack) {
        (Some(id), None) => (id, Some(Ack { by, comment, at: Timestamp::now() }), "acked"),
        (None, Some(id)) => (id, None, "unacked"),
        _ => return Err(ApiError::malformed("the form must acknowledge one incident, or withdraw that").into()),
    };
    ack::set(&state, id, ack).await?;
    log::info!(alert = id.as_str(), done, key_id = viewer.key_id().unwrap_or_default(); "acknowledgement of an incident changed");
    let back = without_done(&order.back);
    let join = if back.is_empty() { "" } else { "&" };
    Ok(go_to(&format!("/alerts?{back}{join}done={done}")).finish())
}

/// Returns the incidents of a page, and the address of the next one.
async fn page(
    request: &HttpRequest,
    query: &AlertsQuery,
    filter: &AlertFilter,
    state: &State,
) -> Result<(Vec<Incident>, Option<String>), ApiError> {
    let scope = query.cursor_binding("alerts page").with(filter.state.map(AlertState::as_str));
    let after = match list::place(state, &scope, query.cursor.as_deref())? {
        Some(Position::Document { at, id }) => Some((at, AlertId::from_bytes(id))),
        Some(_) => return Err(BadCursor.into()),
        None => None,
    };
    let step = state.store.alerts().list(filter, after, LIMIT).await?;
    let next = match step.found.last().filter(|_| step.more) {
        Some(last) => {
            let position = Position::Document { at: last.alert.starts_at, id: last.alert.id.bytes() };
            Some(next_page(request, &position.seal(&state.cursor_keys.key(), &scope)))
        }
        None => None,
    };
    Ok((step.found, next))
}

fn done(query: &str) -> &'static str {
    match query.rsplit_once("done=").map(|(_, word)| word) {
        Some("acked") => "The incident is acknowledged: its notifications are not repeated.",
        Some("unacked") => "The acknowledgement is withdrawn: notifications are repeated as before.",
        _ => "",
    }
}

/// Returns a query without the result of an action, fit for a header.
fn without_done(query: &str) -> String {
    let is_plain = |member: &&str| member.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'#');
    let kept = query.split('&').filter(|member| !member.is_empty() && !member.starts_with("done="));
    kept.filter(is_plain).collect::<Vec<_>>().join("&")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_comes_back_to_the_same_list_and_nowhere_else() {
        for (query, kept) in [
            ("", ""),
            ("done=acked", ""),
            ("state=&deviceId=a%20b&done=acked", "state=&deviceId=a%20b"),
            ("cursor=abc\r\nx: y", ""),
            ("a=1#b&c=2", "c=2"),
        ] {
            assert_eq!(without_done(query), kept, "{query}");
        }
        assert!(done("state=&done=acked").contains("acknowledged"));
        assert_eq!(done("state="), "");
    }
}
