//! `GET /metrics`: what this process has counted, and what lies in the queue at this moment.

use std::time::Duration;

use actix_web::{HttpResponse, web::Data};
use pisync_core::{
    metrics::{CONTENT_TYPE, render},
    queue::QueueError,
};
use tokio::time::timeout;

use crate::{
    metrics::{Metrics, queue_registry},
    server::State,
};

/// How long Redis may take: less than a scrape.
const PATIENCE: Duration = Duration::from_secs(2);

/// Everything in the text format of Prometheus; without what Redis knows while it is away.
pub(super) async fn get(state: Data<State>, metrics: Data<Metrics>) -> HttpResponse {
    let status = timeout(PATIENCE, state.queue.status_of_all())
        .await
        .unwrap_or_else(|_| Err(QueueError::Unavailable("no state of the queue in time".into())));
    let queue = queue_registry(&status, state.producer.max_queue());
    match (render(&metrics.registry()), render(&queue)) {
        (Ok(counted), Ok(waiting)) => HttpResponse::Ok().content_type(CONTENT_TYPE).body(counted + &waiting),
        _ => HttpResponse::InternalServerError().finish(),
    }
}
