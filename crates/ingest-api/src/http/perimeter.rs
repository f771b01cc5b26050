//! The layer before each route: checks the head's size, the origin and the path, and runs the request in its own
//! task.

use std::time::Duration;

use actix_web::{
    Error,
    body::{EitherBody, MessageBody},
    dev::{ServiceRequest, ServiceResponse},
    error::InternalError,
    http::StatusCode,
    middleware::Next,
};
use pisync_core::store::StoreError;
use tokio::time::timeout;

use super::{
    Site,
    error::{ApiError, refused},
    route::{is_ingest, tidy},
};

/// Maximum size of a request's header over all fields, in bytes.
const HEADER_LIMIT: usize = 16 * 1024;

/// Timeout of a request that is not a report. A store that hangs returns no error, so the wait needs this limit.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(20);

/// Refuses heads that are too large and requests from other sites. Runs all others to their end, even if the
/// client hangs up: a driver's future must not be dropped half way.
///
/// Reports need no task here: the producer has one (`pisync_core::queue::Producer`).
pub(crate) async fn perimeter<B: MessageBody + 'static>(
    mut request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<EitherBody<B>>, Error> {
    let length: usize = request.headers().iter().map(|(name, value)| name.as_str().len() + value.len()).sum();
    if length > HEADER_LIMIT {
        return Ok(refused(request, ApiError::Header { limit: HEADER_LIMIT }));
    }
    let checked = Site::of(request.request()).map(|site| site.check(request.method(), request.request()));
    if let Err(error) = checked.unwrap_or(Ok(())).and_then(|()| tidy(&mut request)) {
        return Ok(refused(request, error));
    }
    if is_ingest(request.path()) {
        return Ok(next.call(request).await?.map_into_left_body());
    }
    let task = actix_web::rt::spawn(async move { Ok(next.call(request).await?.map_into_left_body()) });
    match timeout(ANSWER_TIMEOUT, task).await {
        Ok(Ok(answer)) => answer,
        Ok(Err(panic)) => Err(InternalError::new(panic, StatusCode::INTERNAL_SERVER_ERROR).into()),
        Err(_) => {
            let limit = ANSWER_TIMEOUT.as_secs();
            Err(ApiError::Store(StoreError::Unavailable(format!("no answer within {limit} s"))).into())
        }
    }
}
