//! `GET /healthz` and `GET /readyz`: whether the process lives, and whether it can take events.

use std::time::Duration;

use actix_web::{HttpRequest, HttpResponse, web::Data};
use serde_json::json;

use crate::{
    auth::{Auth, Gate, Scope},
    server::State,
};

/// How long `MongoDB` may take to say that it is there.
const PATIENCE: Duration = Duration::from_secs(1);

/// 200 as long as the process can answer.
#[utoipa::path(get, path = "/healthz", tag = "process", responses((status = 200, description = "Alive")))]
pub(super) async fn alive() -> HttpResponse {
    HttpResponse::Ok().json(json!({ "status": "ok" }))
}

/// 200 while Redis takes events, 503 else. `MongoDB` being away only degrades: events wait. Under
/// `--auth enforce` only who may read is told more than the status.
#[utoipa::path(get, path = "/readyz", tag = "process", responses(
    (status = 200, description = "Ready, or degraded while MongoDB is away"),
    (status = 503, description = "Redis is away")
))]
pub(super) async fn ready(request: HttpRequest, gate: Data<Gate>, state: Data<State>) -> HttpResponse {
    let store = state.store.clone();
    // A driver's future must not be dropped half way: it is spawned, and only waited for so long.
    let ping = tokio::spawn(async move { store.ping().await });
    let (redis, mongo) = tokio::join!(state.queue.check(), tokio::time::timeout(PATIENCE, ping));
    let mongo = matches!(mongo, Ok(Ok(Ok(()))));
    let word = |up: bool| if up { "up" } else { "down" };
    let status = match (&redis, mongo) {
        (Ok(()), true) => "ready",
        (Ok(()), false) => "degraded",
        (Err(_), _) => "unavailable",
    };
    let body = if gate.mode() == Auth::Enforce && gate.admit(&request, Scope::Read).is_err() {
        json!({ "status": status })
    } else {
        json!({ "status": status, "redis": word(redis.is_ok()), "mongodb": word(mongo) })
    };
    if redis.is_ok() { HttpResponse::Ok().json(body) } else { HttpResponse::ServiceUnavailable().json(body) }
}
