//! `GET /device?id=`: one device: how it is and why, and what it did.

use actix_web::{
    HttpResponse,
    web::{Data, Query},
};
use askama::Template;
use jiff::Timestamp;
use pisync_core::{
    models::{Cause, DeviceId, DeviceStatus, FailureCounter, Incident},
    store::{AlertFilter, StoredEvent},
};
use serde::Deserialize;

use super::{
    devices::look,
    moment::{Moment, Span},
    page::{Frame, PageError, escaped, render},
    strip::{self, Strip},
    viewer::Viewer,
};
use crate::{
    error::ApiError,
    routes::v1::{device_item::Known, query},
    server::State,
};

/// The most rows that the strip is made of: more than one an hour for 30 days.
const ROWS: u32 = 2_000;

/// How many of the newest lines the timeline has.
const LINES: usize = 60;

/// How many of the newest incidents are in it.
const INCIDENTS: u32 = 30;

/// A device may be called by anything that is printable, `..` too: its name is no part of a path.
#[derive(Deserialize)]
pub(super) struct DeviceQuery {
    id: Option<String>,
}

#[derive(Template)]
#[template(path = "device.html")]
struct DevicePage {
    frame: Frame,
    id: String,
    /// As a part of a path of the API.
    escaped: String,
    status: &'static str,
    sign: &'static str,
    label: &'static str,
    why: String,
    seen: Option<Moment>,
    speed: String,
    strip: Strip,
    lines: Vec<Line>,
}

/// A line of the timeline.
struct Line {
    at: Timestamp,
    moment: Moment,
    class: &'static str,
    sign: &'static str,
    said: String,
}

/// The page of a device that was ever heard of.
pub(super) async fn get(
    viewer: Viewer,
    query: Query<DeviceQuery>,
    state: Data<State>,
) -> Result<HttpResponse, PageError> {
    let device_id = query::device_id("/id", query.id.as_deref().unwrap_or_default())?;
    let now = Timestamp::now();
    let counter = state.store.failure_counters().readable(&[&device_id]).await.map_err(ApiError::from)?;
    let counter = counter.into_values().next();
    let is_counted = counter.is_some();
    let known = Known::of(&state, vec![counter.unwrap_or_else(|| FailureCounter::new(device_id.clone()))]).await?;
    let rows = rows(&state, &device_id, now).await?;
    let is_heard_of = |known: &Known| is_counted || !rows.is_empty() || known.last_seen_at.is_some();
    let known = known.into_iter().next().filter(is_heard_of).ok_or(ApiError::Unknown("device"))?;
    let of_device = AlertFilter { state: None, device_id: Some(device_id.clone()) };
    let incidents = state.store.alerts().list(&of_device, None, INCIDENTS).await.map_err(ApiError::from)?.found;
    let (sign, label) = look(known.status);
    Ok(render(&DevicePage {
        frame: Frame::new(device_id.as_str(), "/devices", &viewer),
        escaped: escaped(device_id.as_str()),
        status: known.status.as_str(),
        sign,
        label,
        why: why(&known, now),
        seen: known.last_seen_at.map(|at| Moment::new(at, now)),
        speed: usual_speed(&rows),
        strip: Strip::of(&rows, now),
        lines: lines(&rows, &incidents, now),
        id: device_id.to_string(),
    }))
}

/// The rows of the strip; where it has none, the newest there are.
async fn rows(state: &State, device_id: &DeviceId, now: Timestamp) -> Result<Vec<StoredEvent>, ApiError> {
    let events = state.store.sync_events();
    let shown = events.history_step(device_id, strip::start(now)..Timestamp::MAX, None, ROWS).await?.found;
    if !shown.is_empty() {
        return Ok(shown);
    }
    Ok(events.history_step(device_id, Timestamp::MIN..Timestamp::MAX, None, 10).await?.found)
}

/// The state in a sentence, with what says so.
fn why(known: &Known, now: Timestamp) -> String {
    let ago = |at: Timestamp| Span((now.as_second() - at.as_second()).max(0));
    let last_word = known.last_seen_at.map(|at| format!("the last report was received {} ago", ago(at)));
    let last_word = last_word.unwrap_or_else(|| "it is not known when it was heard of".into());
    match (known.status, known.counter.run, known.counter.clock_suspect_since) {
        (DeviceStatus::Silent, ..) => format!("It is silent: {last_word}."),
        (_, Some(run), _) => {
            let cause = match Cause::of_failed_sync(run.last_speed) {
                Cause::Connectivity => format!("the connection: only {:.2} Mbps at the last one", run.last_speed),
                Cause::Content => format!("the content: the line had {:.1} Mbps at the last one", run.last_speed),
                Cause::Unknown => "not known: no speed was measured at the last one".into(),
            };
            let (count, s) = (run.count, if run.count == 1 { "" } else { "s" });
            format!("{count} failed sync{s} in a row, the first {} ago. The likely cause is {cause}.", ago(run.since))
        }
        (DeviceStatus::ClockSuspect, None, Some(since)) => {
            format!(
                "Its syncs are good, but its clock has not been believed for {}: its times are those of receipt.",
                ago(since)
            )
        }
        _ => format!("Its last sync was good; {last_word}."),
    }
}

/// The median speed of the rows at hand.
fn usual_speed(rows: &[StoredEvent]) -> String {
    let mut speeds: Vec<_> = rows.iter().map(|row| row.internet_speed).filter(|speed| *speed > 0.0).collect();
    speeds.sort_by(f64::total_cmp);
    let median = speeds.get(speeds.len() / 2);
    median.map_or_else(|| "never measured".into(), |median| format!("{median:.2} Mbps"))
}

/// Syncs and incidents in one list, newest first.
fn lines(rows: &[StoredEvent], incidents: &[Incident], now: Timestamp) -> Vec<Line> {
    let line = |at: Timestamp, class, sign, said: String| Line { at, moment: Moment::new(at, now), class, sign, said };
    let sync = |row: &StoredEvent| {
        let suspect = if row.device_timestamp.is_some() { ", with a clock that is not believed" } else { "" };
        let (files, errors, speed) = (row.total_files_synced, row.total_errors, row.internet_speed);
        if errors > 0 {
            line(
                row.timestamp,
                "failed",
                "\u{2715}",
                format!("sync with {errors} errors, {files} files, {speed:.2} Mbps{suspect}"),
            )
        } else {
            line(row.timestamp, "good", "\u{2713}", format!("good sync, {files} files, {speed:.2} Mbps{suspect}"))
        }
    };
    let incident = |listed: &Incident| {
        let (alert, end) = (&listed.alert, listed.alert.ends_at);
        let begin = line(
            alert.starts_at,
            "alert",
            "!",
            format!("incident began: {}, {}", alert.name.as_str(), alert.cause.as_str()),
        );
        let end = end.map(|end| line(end, "alert", "\u{2713}", format!("incident ended: {}", alert.name.as_str())));
        [Some(begin), end]
    };
    let mut lines: Vec<_> = rows.iter().map(sync).chain(incidents.iter().flat_map(incident).flatten()).collect();
    lines.sort_by_key(|line| std::cmp::Reverse(line.at));
    lines.truncate(LINES);
    lines
}
