//! `GET /metrics`: what this process has counted, and what lies in the queue at this moment.

use std::time::Duration;

use actix_web::{HttpResponse, web::Data};
use jiff::Timestamp;
use pisync_core::{
    metrics::{CONTENT_TYPE, render},
    queue::QueueError,
};
use tokio::time::timeout;

use crate::{
    fleet::Census,
    http::metrics::{Metrics, alerter_registry, devices_registry, queue_registry},
    state::State,
};

/// How long Redis and `MongoDB` may take: less than a scrape.
const PATIENCE: Duration = Duration::from_secs(2);

/// Everything in the text format of Prometheus; without what a server knows while it is away.
pub(super) async fn get(state: Data<State>, metrics: Data<Metrics>) -> HttpResponse {
    let status = timeout(PATIENCE, state.queue.status_of_each());
    let (status, devices, signs) = tokio::join!(status, timeout(PATIENCE, Census::of(&state)), state.liveness.signs());
    let status = status.unwrap_or_else(|_| Err(QueueError::Unavailable("no state of the queue in time".into())));
    let queue = queue_registry(&status, state.producer.max_queue());
    let devices = devices.ok().and_then(Result::ok).map(|counts| devices_registry(counts.by_status()));
    let alerter = signs.ok().map(|signs| alerter_registry(&signs, Timestamp::now()));
    let registries = [Some(metrics.registry()), Some(queue), devices, alerter];
    match registries.iter().flatten().map(render).collect::<Result<String, _>>() {
        Ok(text) => HttpResponse::Ok().content_type(CONTENT_TYPE).body(text),
        Err(_) => HttpResponse::InternalServerError().finish(),
    }
}
