//! `/silences`: lists the silences that have not ended, and previews and creates a new one.
//!
//! The preview is a `GET`. Its answer shows the reach and has the form that creates the silence. So nobody
//! silences alerts without their count.

use std::collections::BTreeSet;

use actix_web::{
    HttpRequest, HttpResponse,
    web::{Data, Query},
};
use askama::Template;
use jiff::{SignedDuration, Timestamp};
use pisync_core::models::{ALERTNAME, AlertName, DEVICE_ID, Matcher, MatcherKind, Silence, SilenceEnd, SilenceId};
use serde::Deserialize;

use super::{
    form::PageForm,
    page::{Frame, PageError, go_to, render_with},
    relative_time::{RelativeTime, grouped},
    sign_in::begin_for_forms,
    viewer::Viewer,
};
use crate::{
    api::{operator, query},
    http::{error::ApiError, reads},
    state::State,
};

/// Maximum number of silences in the list.
const LISTED: u32 = 1_000;

/// Maximum duration of a silence with an end, in hours: a year.
const LONGEST: u32 = 366 * 24;

/// The matchers of a new silence, as received.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct About {
    /// Operator of the device matcher: `exact`, `prefix` or `pattern`.
    kind: String,
    device: String,
    rule: String,
}

/// An action on silences, as received.
#[derive(Deserialize)]
pub(super) struct Order {
    token: String,
    action: String,
    #[serde(default)]
    id: String,
    #[serde(default)]
    kind: String,
    #[serde(default)]
    device: String,
    #[serde(default)]
    rule: String,
    /// Duration in hours; if empty, until its alerts are resolved.
    #[serde(default)]
    hours: String,
    #[serde(default)]
    by: String,
    #[serde(default)]
    comment: String,
}

#[derive(Template)]
#[template(path = "silences.html")]
struct SilencesPage {
    frame: Frame,
    kind: String,
    device: String,
    rule: String,
    rules: BTreeSet<String>,
    preview: Option<Preview>,
    rows: Vec<Row>,
    done: &'static str,
}

/// The reach of a silence, or its fault.
enum Preview {
    Reach { matchers: String, devices: String, open_alerts: String },
    Fault(String),
}

/// A silence that has not ended.
struct Row {
    id: String,
    matchers: String,
    is_active: bool,
    starts: RelativeTime,
    /// `None` if it lasts until its alerts are resolved.
    ends: Option<RelativeTime>,
    by: String,
    comment: String,
}

/// Returns the rules to choose from: the known ones, those with an open incident, and the requested one.
fn offered(open: Vec<String>, asked: &str) -> BTreeSet<String> {
    let known = AlertName::KNOWN.into_iter().chain(AlertName::parse(asked)).map(|name| name.to_string());
    known.chain(open).collect()
}

/// Returns the silences, and the preview of a new one.
pub(super) async fn get(
    request: HttpRequest,
    mut viewer: Viewer,
    about: Query<About>,
    state: Data<State>,
) -> Result<HttpResponse, PageError> {
    let (about, now) = (about.into_inner(), Timestamp::now());
    let silences = state.store.silences().not_over(now, LISTED).await.map_err(ApiError::from)?;
    let preview = about.preview(&state).await?;
    let cookie = if viewer.may_operate { begin_for_forms(&request, &mut viewer, &state) } else { None };
    let page = SilencesPage {
        frame: viewer.frame("Silences", "/alerts"),
        rules: offered(state.store.alerts().open_rules().await.map_err(ApiError::from)?, &about.rule),
        preview,
        kind: about.kind,
        device: about.device,
        rule: about.rule,
        rows: silences.iter().map(|silence| Row::new(silence, now)).collect(),
        done: match request.query_string() {
            "done=added" => "The silence is active: its alerts stay open, but send no notifications.",
            "done=ended" => "The silence has ended.",
            "done=gone" => "This silence had already ended.",
            _ => "",
        },
    };
    Ok(render_with(cookie, &page))
}

/// Creates a silence, or ends one now.
pub(super) async fn post(
    viewer: Viewer,
    order: PageForm<Order>,
    state: Data<State>,
) -> Result<HttpResponse, PageError> {
    viewer.may_do(&state, &order.token)?;
    let done = match order.action.as_str() {
        "add" => {
            add(&order, &viewer, &state).await?;
            "added"
        }
        "end" => {
            let id = SilenceId::parse(&order.id).ok_or(ApiError::Unknown("silence"))?;
            let ended = state.store.silences().expire(id, Timestamp::now()).await.map_err(ApiError::from)?;
            if ended { "ended" } else { "gone" }
        }
        _ => return Err(ApiError::malformed("the form asks to add or to end a silence").into()),
    };
    let key_id = viewer.key_id().unwrap_or_default();
    log::info!(done, silence = order.id.as_str(), key_id; "silence created or ended");
    Ok(go_to(&format!("/silences?done={done}")).finish())
}

async fn add(order: &Order, viewer: &Viewer, state: &State) -> Result<(), ApiError> {
    let about = About { kind: order.kind.clone(), device: order.device.clone(), rule: order.rule.clone() };
    let now = Timestamp::now();
    let hours = Some(order.hours.as_str()).filter(|hours| !hours.is_empty());
    let after = |hours: u32| now.saturating_add(SignedDuration::from_hours(hours.into())).unwrap_or(Timestamp::MAX);
    let end = SilenceEnd::at_or_resolved(query::number("/hours", hours, 1..=LONGEST)?.map(after));
    let by = Some(order.by.trim()).filter(|by| !by.is_empty());
    let silence = Silence {
        id: state.store.silences().new_id(),
        matchers: about.matchers().map_err(|why| ApiError::invalid("/matchers", why))?,
        starts_at: now,
        end,
        by: operator::name(viewer.key_id(), by)?,
        comment: operator::comment(order.comment.trim())?.to_owned(),
        created_at: now,
    };
    Ok(state.store.silences().add(&silence).await?)
}

impl About {
    /// Returns the matchers: at least one.
    fn matchers(&self) -> Result<Vec<Matcher>, String> {
        let kind = match self.kind.as_str() {
            "" | "exact" => MatcherKind::Exact,
            "prefix" => MatcherKind::Prefix,
            "pattern" => MatcherKind::Pattern,
            _ => return Err("a device is compared by exact, prefix or pattern".into()),
        };
        let device = (!self.device.is_empty()).then(|| Matcher::new(DEVICE_ID, kind, &self.device));
        let rule = (!self.rule.is_empty()).then(|| Matcher::new(ALERTNAME, MatcherKind::Exact, &self.rule));
        let matchers: Vec<_> = device.into_iter().chain(rule).collect();
        if matchers.is_empty() {
            return Err("say which devices, or which alerts".into());
        }
        matchers.into_iter().collect::<Result<_, _>>().map_err(|error| error.to_string())
    }

    /// Returns `None` if no matcher was requested.
    async fn preview(&self, state: &State) -> Result<Option<Preview>, ApiError> {
        if self.kind.is_empty() && self.device.is_empty() && self.rule.is_empty() {
            return Ok(None);
        }
        let matchers = match self.matchers() {
            Ok(matchers) => matchers,
            Err(why) => return Ok(Some(Preview::Fault(why))),
        };
        let (silences, words) = (state.store.silences(), in_words(&matchers));
        let reach = reads::compute(async move { silences.reach(&matchers).await }).await?;
        Ok(Some(Preview::Reach {
            matchers: words,
            devices: grouped(reach.devices),
            open_alerts: grouped(reach.open_alerts),
        }))
    }
}

impl Row {
    fn new(silence: &Silence, now: Timestamp) -> Self {
        Self {
            id: silence.id.to_string(),
            matchers: in_words(&silence.matchers),
            is_active: silence.is_active(now),
            starts: RelativeTime::ahead(silence.starts_at, now),
            ends: silence.end.time().map(|end| RelativeTime::ahead(end, now)),
            by: silence.by.clone(),
            comment: silence.comment.clone(),
        }
    }
}

fn in_words(matchers: &[Matcher]) -> String {
    matchers.iter().map(Matcher::to_string).collect::<Vec<_>>().join(" and ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_silence_is_about_something_and_says_what_is_wrong_with_it() {
        let matchers = |kind: &str, device: &str, rule: &str| {
            let about = About { kind: kind.into(), device: device.into(), rule: rule.into() };
            about.matchers().map(|matchers| in_words(&matchers))
        };
        assert_eq!(matchers("", "a", ""), Ok("deviceId=a".into()));
        assert_eq!(matchers("prefix", "a", ""), Ok("deviceId^=a".into()));
        assert_eq!(matchers("pattern", "a.", "b"), Ok("deviceId=~a. and alertname=b".into()));
        for (kind, device, rule) in [("exact", "", ""), ("x", "a", ""), ("pattern", "(", ""), ("prefix", "", "")] {
            assert!(matchers(kind, device, rule).is_err(), "{kind} {device} {rule}");
        }
    }
}
