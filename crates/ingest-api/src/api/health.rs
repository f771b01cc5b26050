//! `GET /healthz` and `GET /readyz`: liveness of the process, and its readiness for events.

use actix_web::{HttpRequest, HttpResponse, web::Data};
use jiff::Timestamp;
use pisync_core::{
    presence::{Contact, Liveness},
    queue::{QueueError, Readiness},
};
use serde_json::{Value, json};

use crate::{
    http::auth::{Auth, Authenticator, Scope},
    state::State,
};

/// Returns 200 as long as the process can answer.
#[utoipa::path(get, path = "/healthz", tag = "process", responses((status = 200, description = "Alive")))]
pub(super) async fn alive() -> HttpResponse {
    HttpResponse::Ok().json(json!({ "status": "ok" }))
}

/// Returns 200 while reports are accepted, 503 otherwise. The status is `degraded` while some partitions refuse
/// reports or `MongoDB` is down; the other reports are accepted, and all of them wait in the queue.
///
/// `alerter` is `ok` while one ticks on schedule, `absent` while none does, and `unknown` while Redis is not
/// answering. `alerterAgeSeconds` is the age of the last completed tick, absent if there was none. Neither
/// affects the acceptance of reports. Under `--auth enforce` only a caller with the scope `read` gets more than
/// the status.
#[utoipa::path(get, path = "/readyz", tag = "process", responses(
    (status = 200, description = "Ready; or degraded, with the cause"),
    (status = 503, description = "No report would be accepted, with the cause")
))]
pub(super) async fn ready(
    request: HttpRequest,
    authenticator: Data<Authenticator>,
    state: Data<State>,
) -> HttpResponse {
    let (pushes, mongodb, liveness) =
        tokio::join!(state.producer.readiness(), state.store.answers(), state.fleet.liveness.liveness());
    let status = match (pushes.is_ready(), pushes.refused.is_empty() && mongodb) {
        (false, _) => "unavailable",
        (true, true) => "ready",
        (true, false) => "degraded",
    };
    let mut body = json!({ "status": status });
    if authenticator.mode() != Auth::Enforce || authenticator.admit(&request, Scope::Read).is_ok() {
        body["redis"] = redis(&pushes).into();
        body["mongodb"] = if mongodb { "up" } else { "down" }.into();
        alerter(&mut body, &liveness);
        if !pushes.refused.is_empty() {
            body["refused"] = pushes.refused.iter().map(refused).collect();
        }
    }
    if pushes.is_ready() { HttpResponse::Ok().json(body) } else { HttpResponse::ServiceUnavailable().json(body) }
}

fn alerter(body: &mut Value, liveness: &Result<Liveness, QueueError>) {
    let contact = liveness.as_ref().map(|liveness| liveness.alerter_at(Timestamp::now()));
    body["alerter"] = match contact {
        Ok(contact) if contact.is_alive() => "ok",
        Ok(_) => "absent",
        Err(_) => "unknown",
    }
    .into();
    if let Some(age) = contact.ok().and_then(Contact::age) {
        body["alerterAgeSeconds"] = age.as_secs().into();
    }
}

/// Returns `down` if all partitions are unreachable; a Redis that refuses is up.
fn redis(pushes: &Readiness) -> &'static str {
    let away = pushes.refused.iter().filter(|refused| refused.cause == "redis_away");
    let away: usize = away.map(|refused| refused.partitions.len()).sum();
    if away == pushes.partitions { "down" } else { "up" }
}

fn refused(refused: &pisync_core::queue::Refused) -> Value {
    json!({ "cause": refused.cause, "detail": refused.detail, "partitions": refused.partitions })
}
