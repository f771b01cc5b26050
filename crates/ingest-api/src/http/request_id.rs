//! The outermost layer: adds an id, a duration and a log line to every request, and leaves out the body for
//! `HEAD`.

use std::{borrow::Cow, time::Instant};

use actix_web::{
    Error,
    body::{BoxBody, MessageBody},
    dev::{ServiceRequest, ServiceResponse},
    error::InternalError,
    http::{
        Method,
        header::{HeaderMap, HeaderName, HeaderValue},
    },
    middleware::Next,
    web::Data,
};

use super::{
    error::ApiError,
    headers::SECURITY_HEADERS,
    metrics::{ACCEPT, Metrics},
    route::leave_out,
};

const NAME: HeaderName = HeaderName::from_static("x-request-id");

/// Maximum length of a caller's id, in characters.
const LONGEST: usize = 64;

/// The route of a request without one.
const UNMATCHED: &str = "unmatched";

/// Sets the request id on the answer, and logs its duration.
///
/// Uses the caller's id if it is 1 to 64 characters of `[A-Za-z0-9._-]`.
pub(crate) async fn note<B: MessageBody + 'static>(
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    let (start, id) = (Instant::now(), id(request.headers()));
    let (route, method) = (route(&request), request.method().clone());
    let metrics = request.app_data::<Data<Metrics>>().cloned();
    let is_head = method == Method::HEAD;
    let answer = next.call(request).await.map(ServiceResponse::map_into_boxed_body);
    let (status, error) = match &answer {
        Ok(response) => (response.status(), response.response().error()),
        Err(error) => (error.as_response_error().status_code(), Some(error)),
    };
    let text = id.to_str().unwrap_or_default();
    if let Some(error) = error.and_then(|error| error.as_error::<ApiError>()) {
        error.log(text);
    }
    let duration = start.elapsed();
    log::debug!(
        request_id = text, method:% = method, route = route.as_ref(), status = status.as_u16(),
        duration_seconds = duration.as_secs_f64(); "answered"
    );
    if let Some(metrics) = metrics {
        metrics.answered(route, status.as_u16(), duration);
    }
    match answer {
        Ok(mut response) => {
            response.headers_mut().insert(NAME, id);
            Ok(if is_head { response.map_body(leave_out) } else { response })
        }
        Err(error) => {
            // Outside the layer that sets the headers of all answers.
            let mut response = error.error_response();
            for (name, value) in SECURITY_HEADERS {
                response.headers_mut().insert(name, HeaderValue::from_static(value));
            }
            response.headers_mut().insert(NAME, id);
            let response = if is_head { response.map_body(leave_out) } else { response };
            Err(InternalError::from_response("an error of a layer", response).into())
        }
    }
}

fn id(headers: &HeaderMap) -> HeaderValue {
    let is_fit = |byte: &u8| byte.is_ascii_alphanumeric() || b"._-".contains(byte);
    let theirs = headers.get(NAME).filter(|id| (1..=LONGEST).contains(&id.len()) && id.as_bytes().iter().all(is_fit));
    theirs.cloned().unwrap_or_else(|| {
        let ours = format!("{:016x}", fastrand::u64(..));
        HeaderValue::from_str(&ours).unwrap_or(HeaderValue::from_static("none"))
    })
}

/// Returns the pattern, not the path: a path may name a device.
fn route(request: &ServiceRequest) -> Cow<'static, str> {
    if request.path() == ACCEPT {
        return ACCEPT.into();
    }
    request.match_pattern().map_or(UNMATCHED.into(), Cow::Owned)
}
