//! `GET /devices`: the devices by status, as the API finds them.

use actix_web::{
    HttpRequest, HttpResponse,
    web::{Data, Query},
};
use askama::Template;
use jiff::Timestamp;
use pisync_core::models::{Cause, DeviceStatus};

use super::{
    page::{Frame, PageError, escaped, render},
    relative_time::RelativeTime,
    viewer::Viewer,
};
use crate::{
    api::{devices_query::DevicesQuery, list, query},
    fleet::{Known, Order, Sort},
    state::State,
};

/// A device in a list.
pub(super) struct Row {
    pub(super) id: String,
    pub(super) href: String,
    pub(super) status: &'static str,
    pub(super) sign: &'static str,
    pub(super) label: &'static str,
    pub(super) failures: i32,
    pub(super) cause: &'static str,
    pub(super) seen: Option<RelativeTime>,
}

/// An option of the filter by status.
struct Choice {
    value: &'static str,
    label: &'static str,
    is_chosen: bool,
}

/// The head of a column that the list can be sorted by.
struct Head {
    label: &'static str,
    class: &'static str,
    href: String,
    /// The text for screen readers if the list is sorted by this column.
    sorted: Option<&'static str>,
}

#[derive(Template)]
#[template(path = "devices.html")]
struct DevicesPage {
    frame: Frame,
    q: String,
    min_failures: String,
    choices: Vec<Choice>,
    order: &'static str,
    /// The requested order, if any.
    sort: &'static str,
    heads: [Head; 3],
    rows: Vec<Row>,
    next: Option<String>,
    is_first: bool,
    csv: Option<&'static str>,
}

/// Returns the sign and the words of a status.
pub(super) fn look(status: DeviceStatus) -> (&'static str, &'static str) {
    match status {
        DeviceStatus::Failing => ("\u{2715}", "failing"),
        DeviceStatus::Silent => ("\u{25cc}", "silent"),
        DeviceStatus::ClockSuspect => ("\u{25f7}", "clock wrong"),
        DeviceStatus::Ok => ("\u{2713}", "ok"),
    }
}

/// Returns the address of a device's page.
pub(super) fn href(device_id: &str) -> String {
    format!("/device?id={}", escaped(device_id))
}

impl Row {
    pub(super) fn new(known: &Known, now: Timestamp) -> Self {
        let (sign, label) = look(known.status);
        let run = known.counter.run;
        Self {
            id: known.counter.device_id.to_string(),
            href: href(known.counter.device_id.as_str()),
            status: known.status.as_str(),
            sign,
            label,
            failures: known.counter.failure_count(),
            cause: run.map_or("", |run| Cause::of_failed_sync(run.last_speed).as_str()),
            seen: known.last_seen_at.map(|at| RelativeTime::new(at, now)),
        }
    }
}

/// Returns a page of the devices that match the query; empty members count as absent.
pub(super) async fn get(
    request: HttpRequest,
    viewer: Viewer,
    query: Query<DevicesQuery>,
    state: Data<State>,
) -> Result<HttpResponse, PageError> {
    let query = query.into_inner().without_empty();
    let filter = query.parse()?;
    let limit = query::limit(query.limit.as_deref())?;
    let scope = filter.cursor_binding();
    let after = list::place(&state, &scope, query.cursor.as_deref())?;
    let (known, next) = state.fleet.devices(&filter, after, limit as usize).await?;
    let next = match next {
        Some(next) => {
            let key = state.cursor_keys.key();
            Some(next_page(&request, &next.seal(&key, &scope)))
        }
        None => None,
    };
    let now = Timestamp::now();
    let chosen = filter.status.map_or("", DeviceStatus::as_str);
    let choices = [("", "any")].into_iter().chain(DeviceStatus::ALL.map(|status| (status.as_str(), look(status).1)));
    let is_failing_list = filter.status == Some(DeviceStatus::Failing) && filter.order() == Order::Count;
    let is_failing_list = is_failing_list && filter.prefix.is_none();
    Ok(render(&DevicesPage {
        frame: viewer.frame("Devices", "/devices"),
        q: filter.prefix.clone().unwrap_or_default(),
        min_failures: filter.min_failures.map(|count| count.to_string()).unwrap_or_default(),
        choices: choices.map(|(value, label)| Choice { value, label, is_chosen: value == chosen }).collect(),
        order: match filter.order() {
            Order::Device | Order::Suspect => "by id",
            Order::Count => "most failed syncs in a row first",
            Order::Seen => "last seen longest ago first",
        },
        sort: filter.sort.map_or("", Sort::as_str),
        heads: Sort::ALL.map(|sort| Head::new(sort, filter.order(), &request)),
        rows: known.into_iter().map(|known| Row::new(&known, now)).collect(),
        next,
        is_first: query.cursor.is_none(),
        csv: (is_failing_list && viewer.shared.is_none()).then_some("/api/v1/devices.csv?status=failing"),
    }))
}

impl Head {
    fn new(sort: Sort, order: Order, request: &HttpRequest) -> Self {
        let (label, class, direction) = match sort {
            Sort::Id => ("Device", "", "ascending"),
            Sort::Failures => ("Failed in a row", "num", "descending"),
            Sort::Seen => ("Last seen", "", "ascending"),
        };
        let is_sorted = match order {
            Order::Device | Order::Suspect => sort == Sort::Id,
            Order::Count => sort == Sort::Failures,
            Order::Seen => sort == Sort::Seen,
        };
        let href = with(request, &["cursor", "sort"], &format!("sort={}", sort.as_str()));
        Self { label, class, href, sorted: is_sorted.then_some(direction) }
    }
}

/// Returns the address of the same query from a cursor on.
pub(super) fn next_page(request: &HttpRequest, cursor: &str) -> String {
    with(request, &["cursor"], &format!("cursor={cursor}"))
}

/// Returns the address of the same query with another member instead of some.
fn with(request: &HttpRequest, without: &[&str], member: &str) -> String {
    let name = |member: &str| member.split('=').next().unwrap_or_default().to_owned();
    let members = request.query_string().split('&').filter(|kept| !kept.is_empty());
    let members = members.filter(|kept| !without.contains(&name(kept).as_str()) && name(kept) != "done");
    format!("{}?{}", request.path(), members.chain([member]).collect::<Vec<_>>().join("&"))
}
