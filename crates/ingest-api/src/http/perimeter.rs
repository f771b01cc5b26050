//! What each request passes before its route: the size of its head, where it comes from, its path, and
//! a task of its own.

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

/// The most bytes of a request's header, over all its fields.
const HEADER_LIMIT: usize = 16 * 1024;

/// How long a request that is no report may wait for its answer. A store that hangs gives no error, so
/// the wait has this end.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(20);

/// Refuses what is too large or comes from another site; all else goes on to its end, also when its
/// client hangs up: a driver's future must not be dropped half way.
///
/// Reports need no task: what they wait for is one already (`pisync_core::queue::Producer`).
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
