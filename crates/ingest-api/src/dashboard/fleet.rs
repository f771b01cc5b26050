//! `GET /`: the state of the fleet, and whether to act.

use std::{future::Future, time::Duration};

use actix_web::{HttpRequest, HttpResponse, web::Data};
use askama::Template;
use jiff::Timestamp;
use pisync_core::{
    models::{AlertState, DeviceStatus, Speeds, SyncHour},
    presence::Liveness,
    store::{AlertFilter, InhibitionFilter},
};
use tokio::time::timeout;

use super::{
    chart::{self, WEEK},
    day_over_day::DayOverDay,
    devices::Row,
    page::{Frame, PageError, render},
    pipeline::{Pace, Pipeline},
    relative_time::{RelativeTime, Span, grouped, percent},
    setup::Setup,
    status_counts::{self, StatusCounts},
    verdict::{Alive, Away, DeviceTotals, Incidents, QueueState, Situation, Verdict},
    viewer::Viewer,
    what_changed::{self, Changed},
};
use crate::{
    fleet::Known,
    http::{error::ApiError, reads},
    state::State,
};

/// Timeout of a part of the page; the page is sent without it.
const TIMEOUT: Duration = Duration::from_secs(3);

/// Number of incidents that are counted by cause.
const COUNTED: u32 = 200;

/// Number of worst devices that are named.
const WORST: usize = 8;

#[derive(Template)]
#[template(path = "fleet.html")]
struct FleetPage {
    frame: Frame,
    verdict: Verdict,
    checked: RelativeTime,
    setup: Option<Setup>,
    states: StatusCounts,
    pace: String,
    pipeline: Option<PipelineRow>,
    day: Option<Day>,
    yesterday: Option<DayOverDay>,
    changed: Option<Changed>,
    week: Vec<HourRow>,
    /// `None` if the hours are unknown.
    speeds: Option<Vec<SpeedRow>>,
    /// `None` if the failing devices are unknown.
    worst: Option<Vec<Row>>,
}

struct PipelineRow {
    waiting: String,
    in_flight: String,
    oldest: String,
    dead_letters: String,
}

/// The last 24 hours in words.
struct Day {
    good: String,
    failed: String,
    share: String,
    late: String,
    median: String,
    change: String,
}

struct HourRow {
    hour: RelativeTime,
    good: String,
    connectivity: String,
    content: String,
    unknown: String,
    late: String,
}

/// Syncs within a range of speeds: their number, and the share that failed.
struct SpeedRow {
    label: String,
    syncs: String,
    share: String,
    /// The share in percent.
    width: u64,
}

/// Returns the page. A part whose server does not answer in time is left out, with a note.
pub(super) async fn get(
    request: HttpRequest,
    viewer: Viewer,
    pace: Data<Pace>,
    state: Data<State>,
) -> Result<HttpResponse, PageError> {
    let now = Timestamp::now();
    let (queue, liveness, counts, before, incidents, hours, worst, changed) = tokio::join!(
        in_time(&state, async |state: State| Ok(Pipeline::of(
            &state.queue.status_of_each().await?.available,
            Timestamp::now()
        ))),
        in_time(&state, async |state: State| Ok(state.fleet.liveness.liveness().await?)),
        in_time(&state, async |state: State| state.fleet.device_counts().await),
        in_time(&state, async move |state: State| status_counts::of_yesterday(&state.store, now).await),
        in_time(&state, open_incidents),
        in_time(&state, async |state: State| chart::hours(&state, WEEK).await),
        in_time(&state, worst),
        what_changed::of(&request, &state),
    );
    let counts = counts.map(|counts| counts.by_status());
    let devices = counts.as_ref().map(|counts| device_totals(counts));
    let setup = Setup::of(
        &request,
        liveness.as_ref(),
        queue.as_ref().map_or(0, |queue| queue.accepted),
        devices.map(|devices| devices.known),
    );
    let situation = Situation {
        queue: queue.as_ref().map(QueueState::from),
        alive: liveness
            .as_ref()
            .map(|liveness| Alive { worker: liveness.worker_at(now), alerter: liveness.alerter_at(now) }),
        incidents,
        devices,
        away: liveness.as_ref().and_then(|liveness: &Liveness| Away::last(&liveness.listening.gaps, now)),
    };
    let hours = hours.unwrap_or_default();
    let day = &hours[hours.len().saturating_sub(24)..];
    Ok(render(&FleetPage {
        frame: viewer.frame("Fleet", "/"),
        verdict: Verdict::of(&situation),
        checked: RelativeTime::new(now, now),
        setup,
        states: StatusCounts::of(
            counts.as_ref().map_or(&[], |counts| &counts[..]),
            state.fleet.silent_after,
            before.flatten().as_ref(),
            now,
        ),
        pace: in_words(&pace, queue.as_ref()),
        pipeline: queue.as_ref().map(PipelineRow::from),
        day: (!day.is_empty()).then(|| Day::of(day, &hours)),
        yesterday: DayOverDay::of(&hours, now),
        changed,
        week: hours.iter().rev().map(|hour| HourRow::new(hour, now)).collect(),
        speeds: (!day.is_empty()).then(|| speeds(day)),
        worst: worst.map(|worst| worst.iter().map(|known| Row::new(known, now)).collect()),
    }))
}

fn device_totals(counts: &[(DeviceStatus, u64)]) -> DeviceTotals {
    let of = |status| counts.iter().find(|(found, _)| *found == status).map_or(0, |(_, count)| *count);
    DeviceTotals {
        known: counts.iter().map(|(_, count)| count).sum(),
        failing: of(DeviceStatus::Failing),
        silent: of(DeviceStatus::Silent),
    }
}

/// Returns the answer, unless it fails or times out.
async fn in_time<T: Send + 'static, F>(state: &State, ask: impl FnOnce(State) -> F) -> Option<T>
where
    F: Future<Output = Result<T, ApiError>> + Send + 'static,
{
    // Spawned, since a driver's future must not be dropped half way.
    match timeout(TIMEOUT, reads::spawn(ask(state.clone()))).await {
        Ok(Ok(Ok(found))) => Some(found),
        Ok(Ok(Err(error))) => {
            error.log("dashboard");
            None
        }
        Ok(Err(_)) | Err(_) => None,
    }
}

async fn open_incidents(state: State) -> Result<Incidents, ApiError> {
    // An inhibited alert is not an incident of its own.
    let firing = AlertFilter { state: Some(AlertState::Firing), device_id: None, inhibition: InhibitionFilter::Not };
    let open = state.store.alerts().list(&firing, None, COUNTED).await?;
    let mut incidents = Incidents { and_more: open.more, ..Incidents::default() };
    open.found.into_iter().for_each(|listed| incidents.add(listed.alert));
    Ok(incidents)
}

async fn worst(state: State) -> Result<Vec<Known>, ApiError> {
    let worst = state.store.failure_counters().worst(DeviceStatus::REPEATED, None, WORST).await?;
    state.fleet.known(worst.counters).await
}

fn in_words(pace: &Pace, queue: Option<&Pipeline>) -> String {
    let pace = queue.and_then(|queue| pace.look(queue));
    pace.map_or_else(|| "not measured yet".into(), |pace| format!("{pace:.1} /s"))
}

impl From<&Pipeline> for QueueState {
    fn from(queue: &Pipeline) -> Self {
        let (oldest_seconds, is_paused) = (queue.oldest_seconds, queue.is_paused);
        Self { oldest_seconds, is_paused, dead_letters: queue.dead_letters }
    }
}

impl From<&Pipeline> for PipelineRow {
    fn from(queue: &Pipeline) -> Self {
        Self {
            waiting: grouped(queue.waiting),
            in_flight: grouped(queue.in_flight),
            oldest: if queue.waiting == 0 { "nothing waits".into() } else { Span(queue.oldest_seconds).to_string() },
            dead_letters: grouped(queue.dead_letters),
        }
    }
}

impl Day {
    fn of(day: &[SyncHour], all: &[SyncHour]) -> Self {
        let sum =
            |hours: &[SyncHour]| (hours.iter().map(|hour| hour.good).sum(), hours.iter().map(|hour| hour.failed).sum());
        let (good, failed): (u64, u64) = sum(day);
        let before = &all[..all.len() - day.len()];
        let (good_before, failed_before): (u64, u64) = sum(&before[before.len().saturating_sub(24)..]);
        let change = if good_before + failed_before == 0 {
            "nothing to compare it with".into()
        } else {
            format!("the day before {}", percent(failed_before, good_before + failed_before))
        };
        let mut speeds = Speeds::default();
        for hour in day {
            speeds += hour.speeds;
        }
        Self {
            good: grouped(good),
            failed: grouped(failed),
            share: percent(failed, good + failed),
            late: grouped(day.iter().map(|hour| hour.late.all()).sum()),
            median: speeds.median().map_or_else(|| "no syncs".into(), |median| format!("{median:.2} Mbps")),
            change,
        }
    }
}

impl HourRow {
    fn new(hour: &SyncHour, now: Timestamp) -> Self {
        Self {
            hour: RelativeTime::new(hour.hour, now),
            good: grouped(hour.good),
            connectivity: grouped(hour.connectivity),
            content: grouped(hour.content),
            unknown: grouped(hour.unknown()),
            late: grouped(hour.late.all()),
        }
    }
}

/// Returns the speeds of some hours, a few buckets merged into each row.
fn speeds(hours: &[SyncHour]) -> Vec<SpeedRow> {
    let (mut all, mut failed) = (Speeds::default(), Speeds::default());
    for hour in hours {
        all += hour.speeds;
        failed += hour.failed_speeds;
    }
    let bounds = [0, 1, 4, 6, 9, 11, 16, Speeds::BUCKETS];
    let rows = bounds.windows(2).map(|pair| {
        let sum = |speeds: &Speeds| speeds.0[pair[0]..pair[1]].iter().sum::<u64>();
        let (syncs, failed) = (sum(&all), sum(&failed));
        let label = match (Speeds::FROM[pair[0]], Speeds::FROM.get(pair[1])) {
            (0.0, Some(to)) => format!("below {to:.1}"),
            (from, None) => format!("{from:.0} and more"),
            (from, Some(to)) if *to < 1.5 => format!("{from:.1} to {to:.1}"),
            (from, Some(to)) => format!("{from:.0} to {to:.0}"),
        };
        let width = (100 * failed).checked_div(syncs).unwrap_or(0);
        (syncs > 0).then(|| SpeedRow { label, syncs: grouped(syncs), share: percent(failed, syncs), width })
    });
    rows.flatten().collect()
}
