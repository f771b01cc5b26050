//! `GET /healthz` and `GET /readyz`: whether the process lives, and whether it can take events.

use actix_web::{HttpResponse, web::Data};
use pisync_core::queue::Readiness;
use serde_json::{Value, json};

use crate::server::State;

/// 200 as long as the process can answer.
#[utoipa::path(get, path = "/healthz", tag = "process", responses((status = 200, description = "Alive")))]
pub(super) async fn alive() -> HttpResponse {
    HttpResponse::Ok().json(json!({ "status": "ok" }))
}

/// 200 while a report would be taken, 503 else. While some partitions would take none, or `MongoDB`
/// is away, it is degraded: the other reports are taken, and all of them wait.
#[utoipa::path(get, path = "/readyz", tag = "process", responses(
    (status = 200, description = "Ready; or degraded, with what is wrong"),
    (status = 503, description = "No report would be taken, with the cause")
))]
pub(super) async fn ready(state: Data<State>) -> HttpResponse {
    let (pushes, mongodb) = tokio::join!(state.producer.readiness(), state.store.answers());
    let status = match (pushes.is_ready(), pushes.refused.is_empty() && mongodb) {
        (false, _) => "unavailable",
        (true, true) => "ready",
        (true, false) => "degraded",
    };
    let mut body = json!({ "status": status, "redis": redis(&pushes), "mongodb": if mongodb { "up" } else { "down" } });
    if !pushes.refused.is_empty() {
        body["refused"] = pushes.refused.iter().map(refused).collect();
    }
    if pushes.is_ready() { HttpResponse::Ok().json(body) } else { HttpResponse::ServiceUnavailable().json(body) }
}

/// `down` if it is away for all partitions; what answers and refuses is up.
fn redis(pushes: &Readiness) -> &'static str {
    let away = pushes.refused.iter().filter(|refused| refused.cause == "redis_away");
    let away: usize = away.map(|refused| refused.partitions.len()).sum();
    if away == pushes.partitions { "down" } else { "up" }
}

fn refused(refused: &pisync_core::queue::Refused) -> Value {
    json!({ "cause": refused.cause, "detail": refused.detail, "partitions": refused.partitions })
}
