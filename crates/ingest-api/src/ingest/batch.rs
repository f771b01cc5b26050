//! `POST /api/v1/sync-events`: many reports at once, of one device or of many.

use std::collections::HashSet;

use actix_web::{
    HttpRequest, HttpResponse,
    web::{Bytes, Data, Payload},
};
use jiff::{SignedDuration, Timestamp};
use pisync_core::{
    models::{self, InvalidBatch, InvalidEvent, Report, ReportBatch, SyncEvent, next_report_in},
    queue::PushError,
};
use serde::Serialize;
use utoipa::ToSchema;

use super::{bodies, ignored::Ignored, schema::Reports, sync_event::now};
use crate::{
    http::{auth::Caller, body::Form, error::ApiError},
    state::State,
};

/// The answer to a batch.
#[derive(Debug, Default, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Answer {
    /// Number of reports that are queued.
    accepted: usize,
    /// The refused reports, in the order of the batch.
    rejected: Vec<Rejected>,
    /// Parts left out of the queued reports; absent if there are none.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false)]
    ignored: Vec<Ignored>,
    /// Seconds until the device's next report, if all reports are from one device and the server spreads its
    /// fleet.
    #[serde(skip_serializing_if = "Option::is_none")]
    next_report_in: Option<i64>,
}

/// A refused report.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Rejected {
    /// Index in the batch, from 0.
    index: usize,
    /// A short stable word. `malformed`, `missing`, `invalid` and `forbidden` are final. After any other
    /// (`too_fast`, `queue_full`, `unavailable`, `unread`), send the report again later.
    code: &'static str,
    /// Description of the fault, for people.
    detail: String,
}

/// The reports of a batch, sorted into valid and refused ones.
#[derive(Default)]
struct Sorted {
    /// The reports to queue.
    events: Vec<SyncEvent>,
    /// Their indexes in the batch.
    places: Vec<usize>,
    /// The refused reports, each with its error.
    refused: Vec<(usize, ApiError)>,
    /// Parts left out, by the index of the report.
    ignored: Vec<(usize, models::Ignored)>,
}

/// Queues the valid reports and lists the others; 202 once Redis has all accepted ones.
#[utoipa::path(
    post,
    path = "/api/v1/sync-events",
    tag = "devices",
    operation_id = "reportSyncs",
    summary = "Report many sync attempts",
    description = "Each report stands for itself: those that were not taken are named, each with whether to send it \
                   again, and do not fail the others. 400 where none is good, 503 where none was taken.",
    request_body(content(
        (Reports = "application/json"),
        (String = "application/x-ndjson"),
    )),
    responses((status = 202, description = "The valid reports are queued", body = Answer))
)]
pub(crate) async fn post(
    request: HttpRequest,
    payload: Payload,
    caller: Caller,
    state: Data<State>,
) -> Result<HttpResponse, ApiError> {
    state.limits.has_room(caller.device_id(), caller.key_id())?;
    // Held to the end: the parsed reports are in memory until Redis has them.
    let (form, body) = bodies::many(&request, payload).await?;
    let batch = read(form, &body)?;
    let has_unread = batch.has_unread();
    if !has_unread && batch.reports.iter().all(Result::is_err) {
        return Err(batch.faults().into());
    }
    let batch_ignored = batch.ignored.clone();
    let sorted = sort(batch, &caller, &state);
    if !has_unread && sorted.events.is_empty() {
        return Err(first_refusal(sorted.refused));
    }
    state.crash.pass("before_push");
    let taken = state.producer.push_all(&sorted.events).await;
    if let Some(error) = none_taken(&taken) {
        sorted.events.iter().for_each(|event| state.limits.refund(&event.device_id, caller.key_id()));
        return Err(error.into());
    }
    let mut answer = sorted.answer(taken, &caller, &state);
    // A fault of the batch itself belongs to no report: the answer lists it at the first.
    let of_batch = batch_ignored.map(|ignored| Ignored::new(0, ignored));
    answer.ignored = Ignored::bounded(of_batch.into_iter().chain(answer.ignored).collect());
    state.metrics.accepts.inc_by(answer.accepted as u64);
    state.metrics.ignored(answer.ignored.iter().map(Ignored::member));
    state.crash.pass("after_push");
    Ok(HttpResponse::Accepted().json(answer))
}

/// Returns the error of the first event, if no event was queued.
fn none_taken(taken: &[Result<(), PushError>]) -> Option<PushError> {
    let is_none = taken.iter().all(Result::is_err);
    taken.iter().find_map(|taken| taken.as_ref().err().cloned()).filter(|_| is_none)
}

impl Sorted {
    /// Returns the answer; refunds the rate limits of the reports that were not queued.
    fn answer(self, taken: Vec<Result<(), PushError>>, caller: &Caller, state: &State) -> Answer {
        let (mut refused, mut left) = (self.refused, HashSet::new());
        let mut events = self.events;
        let mut taken = taken.into_iter().zip(&self.places);
        events.retain(|event| match taken.next() {
            Some((Err(error), place)) => {
                state.limits.refund(&event.device_id, caller.key_id());
                left.insert(*place);
                refused.push((*place, error.into()));
                false
            }
            Some((Ok(()), _)) | None => true,
        });
        refused.sort_by_key(|(index, _)| *index);
        let rejected =
            |(index, error): (usize, ApiError)| Rejected { index, code: error.code(), detail: error.to_string() };
        let ignored = self.ignored.into_iter().filter(|(index, _)| !left.contains(index));
        Answer {
            accepted: events.len(),
            rejected: refused.into_iter().map(rejected).collect(),
            ignored: ignored.map(|(index, ignored)| Ignored::new(index, ignored)).collect(),
            next_report_in: state.report_interval.and_then(|interval| next_report(&events, interval, now())),
        }
    }
}

fn read(form: Form, body: &Bytes) -> Result<ReportBatch, InvalidBatch> {
    match form {
        Form::Json => ReportBatch::from_json(body, now()),
        Form::Lines => ReportBatch::from_lines(body, now()),
        Form::One => Ok(ReportBatch::of_one(body, now())),
    }
}

/// Sorts a batch into the reports to queue, and the refused ones with their errors.
fn sort(batch: ReportBatch, caller: &Caller, state: &State) -> Sorted {
    let mut sorted = Sorted { events: Vec::with_capacity(batch.reports.len()), ..Sorted::default() };
    for (index, report) in batch.reports.into_iter().enumerate() {
        match admit(report, caller, state) {
            Ok(Report { event, ignored }) => {
                sorted.events.push(event);
                sorted.places.push(index);
                sorted.ignored.extend(ignored.into_iter().map(|ignored| (index, ignored)));
            }
            Err(error) => sorted.refused.push((index, error)),
        }
    }
    sorted
}

fn admit(report: Result<Report, InvalidEvent>, caller: &Caller, state: &State) -> Result<Report, ApiError> {
    let report = report?;
    caller.may_post_as(&report.event.device_id)?;
    state.limits.admit(&report.event.device_id, caller.key_id())?;
    Ok(report)
}

/// Returns the seconds until the device's next report, if the batch is from one device.
fn next_report(events: &[SyncEvent], interval: SignedDuration, now: Timestamp) -> Option<i64> {
    let device = &events.first()?.device_id;
    let is_one = events.iter().all(|event| event.device_id == *device);
    is_one.then(|| next_report_in(device, interval, now).as_secs())
}

/// Returns the error if all reports were refused, not all as invalid: a retryable one, if there is any.
fn first_refusal(refused: Vec<(usize, ApiError)>) -> ApiError {
    let (mut fast, mut others): (Vec<_>, Vec<_>) =
        refused.into_iter().map(|(_, error)| error).partition(|error| matches!(error, ApiError::TooFast { .. }));
    others.retain(|error| !matches!(error, ApiError::Invalid(_)));
    fast.pop().or(others.pop()).unwrap_or_else(|| ApiError::malformed("holds no events"))
}
