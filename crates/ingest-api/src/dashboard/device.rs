//! `GET /device?id=`: the status of one device, its reason, and its history.

use actix_web::{
    HttpResponse,
    web::{Data, Query},
};
use askama::Template;
use jiff::{SignedDuration, Timestamp};
use pisync_core::{
    models::{Cause, ClockRepeats, DeviceId, DeviceStatus, FailureCounter},
    store::{AlertFilter, StoredEvent},
};
use serde::Deserialize;

use super::{
    devices::look,
    heatmap::{self, Heatmap},
    page::{Frame, PageError, escaped, render},
    relative_time::{RelativeTime, Span},
    timeline::{self, Line},
    viewer::Viewer,
};
use crate::{api::query, fleet::Known, http::error::ApiError, state::State};

/// Maximum number of rows in the heatmap: more than one an hour for 30 days.
const ROWS: u32 = 2_000;

/// Number of newest incidents in the timeline.
const INCIDENTS: u32 = 30;

/// Number of silences examined, those with the latest end.
const SILENCES: u32 = 1_000;

/// A device id may be anything printable, `..` too, so it is not a part of the path.
#[derive(Deserialize)]
pub(super) struct DeviceQuery {
    id: Option<String>,
}

#[derive(Template)]
#[template(path = "device.html")]
struct DevicePage {
    frame: Frame,
    id: String,
    /// The id, escaped for a path of the API.
    escaped: String,
    status: &'static str,
    sign: &'static str,
    label: &'static str,
    why: String,
    /// The warning that its clock is behind, if so.
    clock: Option<String>,
    /// The warning that its clock repeats, if so.
    repeats: Option<String>,
    seen: Option<RelativeTime>,
    speed: String,
    /// Time of the page.
    made: RelativeTime,
    strip: Heatmap,
    lines: Vec<Line>,
}

/// Returns the page of a device that has ever reported.
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
    let known = state.fleet.known(vec![counter.unwrap_or_else(|| FailureCounter::new(device_id.clone()))]).await?;
    let rows = rows(&state, &device_id, now).await?;
    let is_heard_of = |known: &Known| is_counted || !rows.is_empty() || known.last_seen_at.is_some();
    let known = known.into_iter().next().filter(is_heard_of).ok_or(ApiError::Unknown("device"))?;
    let of_device = AlertFilter { device_id: Some(device_id.clone()), ..AlertFilter::default() };
    let incidents = state.store.alerts().list(&of_device, None, INCIDENTS).await.map_err(ApiError::from)?.found;
    let labels = rows.first().map(|row| row.details.labels.clone()).unwrap_or_default();
    let silences = state.store.silences().all(SILENCES).await.map_err(ApiError::from)?;
    let silences: Vec<_> =
        silences.into_iter().filter(|silence| timeline::is_about(silence, &device_id, &labels)).collect();
    let (sign, label) = look(known.status);
    Ok(render(&DevicePage {
        frame: viewer.frame(device_id.as_str(), "/devices"),
        escaped: escaped(device_id.as_str()),
        status: known.status.as_str(),
        sign,
        label,
        why: why(&known, now),
        clock: StoredEvent::clock_lag(&rows).behind().map(say_behind),
        repeats: known.counter.clock_repeats.map(|repeats| say_repeats(repeats, now)),
        seen: known.last_seen_at.map(|at| RelativeTime::new(at, now)),
        speed: usual_speed(&rows),
        made: RelativeTime::new(now, now),
        strip: Heatmap::of(&rows, now),
        lines: timeline::of(&rows, &incidents, &silences, now),
        id: device_id.to_string(),
    }))
}

/// Returns the rows of the heatmap; if there are none, the newest rows.
async fn rows(state: &State, device_id: &DeviceId, now: Timestamp) -> Result<Vec<StoredEvent>, ApiError> {
    let events = state.store.sync_events();
    let shown = events.history_step(device_id, heatmap::start(now)..Timestamp::MAX, None, ROWS).await?.found;
    if !shown.is_empty() {
        return Ok(shown);
    }
    Ok(events.history_step(device_id, Timestamp::MIN..Timestamp::MAX, None, 10).await?.found)
}

/// Returns the status in a sentence, with its evidence.
fn why(known: &Known, now: Timestamp) -> String {
    let ago = |at: Timestamp| Span((now.as_second() - at.as_second()).max(0));
    let last_word = known.last_seen_at.map(|at| format!("the last report was received {} ago", ago(at)));
    let last_word = last_word.unwrap_or_else(|| "its last-seen time is unknown".into());
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
                "Its syncs are good, but its clock has been wrong for {}: its times are those of receipt.",
                ago(since)
            )
        }
        _ => format!("Its last sync was good; {last_word}."),
    }
}

/// Returns the warning that the clock is behind, with the remedy.
fn say_behind(behind: SignedDuration) -> String {
    format!(
        "Its clock is {} behind ours, and so are the times of its syncs: its reports count by their receipt. A sentAt \
         would set them right.",
        Span(behind.as_secs())
    )
}

/// Returns the warning that reports are indistinguishable, with the remedy.
fn say_repeats(repeats: ClockRepeats, now: Timestamp) -> String {
    let ClockRepeats { count, last_at } = repeats;
    let (s, its) = if count == 1 { ("", "an earlier one") } else { ("s", "earlier ones") };
    let ago = Span((now.as_second() - last_at.as_second()).max(0));
    format!(
        "Its clock repeats: {count} report{s} had the same time and content as {its}, the newest {ago} ago, and \
         {} not counted again. A reportId would tell them apart.",
        if count == 1 { "was" } else { "were" }
    )
}

/// Returns the median speed of these rows.
fn usual_speed(rows: &[StoredEvent]) -> String {
    let mut speeds: Vec<_> = rows.iter().map(|row| row.internet_speed).filter(|speed| *speed > 0.0).collect();
    speeds.sort_by(f64::total_cmp);
    let median = speeds.get(speeds.len() / 2);
    median.map_or_else(|| "never measured".into(), |median| format!("{median:.2} Mbps"))
}
