//! Errors of the API as `application/problem+json` (RFC 9457), with the members `success` and `error` that old
//! clients read.

use std::{borrow::Cow, fmt, time::Duration};

use actix_web::{
    HttpResponse, ResponseError,
    body::EitherBody,
    dev::{ServiceRequest, ServiceResponse},
    http::{StatusCode, header},
};
use pisync_core::{
    models::{FieldError, InvalidBatch, InvalidEvent, MAX_EVENTS},
    queue::{PushError, QueueError},
    store::StoreError,
};
use serde_json::{Value, json};

use super::{auth::Refusal, cursor::BadCursor};

/// Maximum number of faults in the sentence and in the list: devices pay for each byte.
const FEW: usize = 5;
const NAMED: usize = 20;

/// A request that failed.
#[derive(Debug)]
pub enum ApiError {
    /// The body or the query has faults. 400
    Invalid(Vec<FieldError>),
    /// The route does not exist. 404
    NoRoute {
        /// The probable route, if one is similar.
        hint: Option<String>,
    },
    /// The item does not exist. 404
    Unknown(&'static str),
    /// The route does not allow the method. 405
    Method {
        /// The allowed methods.
        allow: String,
    },
    /// The body is over the limit. 413
    TooLarge {
        /// The limit in bytes, unpacked.
        limit: usize,
    },
    /// The batch has too many events. 413
    TooMany {
        /// The limit in events.
        limit: usize,
    },
    /// The `Content-Type` is not one that the route reads. 415
    MediaType {
        /// The types that the route reads.
        accept: &'static str,
    },
    /// The `Content-Encoding` is not supported. 415
    Encoding {
        /// The coding of the header.
        sent: String,
    },
    /// The body is packed in an unsupported format, and no header says so. 415
    Packing {
        /// The detected format.
        packing: &'static str,
    },
    /// The header is over the limit. 431
    Header {
        /// The limit in bytes.
        limit: usize,
    },
    /// The key or the device is over its rate limit. 429
    TooFast {
        /// Time until the next event is accepted.
        after: Duration,
    },
    /// Too many bytes of bodies are in flight, of all callers or of this one. 503
    Crowded,
    /// Too many costly reads are running. 503
    Busy,
    /// A browser sent it for a page of another site. 403
    CrossSite,
    /// Its `Host` is not a name of this server. 403
    ForeignHost,
    /// The body did not arrive in time. 503, since a slow line may retry
    Slow,
    /// The queue refused the event. 503
    Queue(PushError),
    /// The store does not answer. 503
    Store(StoreError),
    /// The caller is refused. 401 or 403
    Refused(Refusal),
    /// Redis does not answer a read. 503
    Redis(QueueError),
}

impl ApiError {
    /// Returns one fault of a member of the body or the query.
    pub fn invalid(pointer: impl Into<Cow<'static, str>>, detail: impl Into<String>) -> Self {
        Self::fault(pointer, "invalid", detail)
    }

    /// Returns the error of a body that cannot be parsed.
    pub fn malformed(detail: impl Into<String>) -> Self {
        Self::fault("", "malformed", detail)
    }

    fn fault(pointer: impl Into<Cow<'static, str>>, code: &'static str, detail: impl Into<String>) -> Self {
        Self::Invalid(vec![FieldError { pointer: pointer.into(), code, detail: detail.into() }])
    }

    /// Returns a short stable word for a refused part of a batch. `malformed`, `missing`, `invalid` and
    /// `forbidden` are final; a device retries after any other.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Invalid(faults) => faults.first().map_or("invalid", |fault| fault.code),
            Self::Refused(_) => "forbidden",
            Self::TooFast { .. } => "too_fast",
            Self::Queue(PushError::Full { .. } | PushError::Queue(QueueError::OutOfMemory)) => "queue_full",
            Self::Queue(PushError::Queue(_)) => "unavailable",
            _ => "refused",
        }
    }

    fn detail(&self) -> String {
        match self {
            Self::Invalid(errors) => {
                let said = InvalidEvent { errors: errors.iter().take(FEW).cloned().collect() }.to_string();
                let more = errors.len().saturating_sub(FEW);
                if more == 0 { said } else { format!("{said}; and {more} more faults") }
            }
            Self::NoRoute { hint: Some(hint) } => format!("there is no such route: {hint}"),
            Self::NoRoute { hint: None } => "there is no such route".into(),
            Self::Unknown(what) => format!("there is no such {what}"),
            Self::Method { allow } => format!("this route takes {allow}"),
            Self::TooLarge { limit } => format!("the body is over {limit} bytes"),
            Self::TooMany { limit } => format!("the batch has more than {limit} events: send it in parts"),
            Self::MediaType { accept } => format!("this route takes another Content-Type: {accept}"),
            Self::Encoding { sent } => format!(
                "the body has Content-Encoding: {sent}, but this route takes a body as it is or with gzip alone"
            ),
            Self::Packing { packing } => format!(
                "the body looks like {packing}: send it as it is, or packed with gzip and Content-Encoding: gzip"
            ),
            Self::Header { limit } => format!("the header is over {limit} bytes"),
            Self::TooFast { .. } => "too many events from this device or key: send the same event again later".into(),
            Self::Crowded => {
                "too many large bodies are in flight: send the same again later, or in smaller parts".into()
            }
            Self::Busy => "too many costly reads are running: ask again later".into(),
            Self::CrossSite => "this was sent from a page of another site (Sec-Fetch-Site, Origin)".into(),
            Self::ForeignHost => {
                "this server is bound to loopback and does not answer to this Host: ask by localhost, or name the \
                 host with --external-url (PISYNC_EXTERNAL_URL) or --allowed-host (PISYNC_ALLOWED_HOSTS)"
                    .into()
            }
            Self::Slow => "the body did not arrive in time; send the same event again".into(),
            Self::Queue(PushError::Full { .. } | PushError::Queue(QueueError::OutOfMemory)) => {
                "the queue is full; nothing was stored, send the same event again later".into()
            }
            Self::Queue(PushError::Queue(QueueError::Unavailable(_) | QueueError::PartitionsChanged)) => {
                "the queue is not available; send the same event again later".into()
            }
            Self::Queue(PushError::Queue(error)) => {
                format!("the queue refuses events ({}); send the same event again later", error.cause())
            }
            Self::Store(_) => "the store is not available; ask again later".into(),
            Self::Refused(refusal) => refusal.to_string(),
            Self::Redis(_) => "redis is not available; ask again later".into(),
        }
    }

    /// Returns the seconds until a retry. They are random, so that a refused fleet does not retry at one time,
    /// and grow with the queue.
    fn retry_after(&self) -> Option<u64> {
        /// Events per second that a modest worker drains from a partition.
        const DRAINED: u64 = 1_000;
        let at_least = match self {
            Self::Queue(PushError::Full { depth }) => (depth / DRAINED).clamp(2, 300),
            Self::Queue(PushError::Queue(QueueError::OutOfMemory)) => 10,
            Self::Queue(PushError::Queue(_)) | Self::Store(_) | Self::Redis(_) | Self::Slow | Self::Busy => 2,
            Self::Crowded => 5,
            Self::TooFast { after } => (after.as_secs() + 1).clamp(2, 3_600),
            _ => return None,
        };
        Some(at_least + fastrand::u64(0..=at_least))
    }

    /// Logs the errors of the servers; all other errors go to the caller only.
    pub(crate) fn log(&self, request_id: &str) {
        match self {
            Self::Queue(error) => log::debug!(request_id = request_id, error:% = error; "event refused"),
            Self::Store(error) => log::warn!(request_id = request_id, error:% = error; "read failed"),
            Self::Redis(error) => log::warn!(request_id = request_id, error:% = error; "read failed"),
            Self::Refused(refusal) => log::debug!(request_id = request_id, reason:% = refusal; "call refused"),
            _ => {}
        }
    }

    fn body(&self) -> Value {
        let mut body = problem(self.status_code(), &self.detail());
        if let Self::Invalid(errors) = self {
            let errors =
                errors.iter().take(NAMED).map(|e| json!({ "pointer": e.pointer, "code": e.code, "detail": e.detail }));
            body["errors"] = errors.collect();
        }
        body
    }
}

/// Returns the members that every problem has.
pub(crate) fn problem(status: StatusCode, detail: &str) -> Value {
    let title = status.canonical_reason().unwrap_or("Error");
    json!({
        "type": "about:blank", "title": title, "status": status.as_u16(), "detail": detail,
        "success": false, "error": detail,
    })
}

impl ResponseError for ApiError {
    fn status_code(&self) -> StatusCode {
        match self {
            Self::Invalid(_) => StatusCode::BAD_REQUEST,
            Self::NoRoute { .. } | Self::Unknown(_) => StatusCode::NOT_FOUND,
            Self::Method { .. } => StatusCode::METHOD_NOT_ALLOWED,
            Self::TooLarge { .. } | Self::TooMany { .. } => StatusCode::PAYLOAD_TOO_LARGE,
            Self::MediaType { .. } | Self::Encoding { .. } | Self::Packing { .. } => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::Header { .. } => StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
            Self::TooFast { .. } => StatusCode::TOO_MANY_REQUESTS,
            Self::CrossSite | Self::ForeignHost => StatusCode::FORBIDDEN,
            Self::Queue(_) | Self::Store(_) | Self::Redis(_) | Self::Slow | Self::Crowded | Self::Busy => {
                StatusCode::SERVICE_UNAVAILABLE
            }
            Self::Refused(refusal) => refusal.status(),
        }
    }

    fn error_response(&self) -> HttpResponse {
        let mut response = HttpResponse::build(self.status_code());
        if let Self::Method { allow } = self {
            response.insert_header((header::ALLOW, allow.as_str()));
        }
        if self.status_code() == StatusCode::UNAUTHORIZED {
            response.insert_header((header::WWW_AUTHENTICATE, "Bearer"));
        }
        if let Some(seconds) = self.retry_after() {
            response.insert_header((header::RETRY_AFTER, seconds));
        }
        response.content_type("application/problem+json").body(self.body().to_string())
    }
}

/// Returns the refusal of a layer, with the error in it for the log. It is a response, so it passes the outer
/// layers, which add the headers of all answers; an error would not.
pub(crate) fn refused<B>(request: ServiceRequest, error: impl Into<ApiError>) -> ServiceResponse<EitherBody<B>> {
    let answer = HttpResponse::from_error(error.into());
    ServiceResponse::new(request.into_parts().0, answer).map_into_right_body()
}

impl fmt::Display for ApiError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.detail())
    }
}

impl From<InvalidEvent> for ApiError {
    fn from(error: InvalidEvent) -> Self {
        Self::Invalid(error.errors)
    }
}

impl From<InvalidBatch> for ApiError {
    fn from(error: InvalidBatch) -> Self {
        match error {
            InvalidBatch::Malformed(invalid) => invalid.into(),
            InvalidBatch::TooMany => Self::TooMany { limit: MAX_EVENTS },
        }
    }
}

impl From<PushError> for ApiError {
    fn from(error: PushError) -> Self {
        Self::Queue(error)
    }
}

impl From<QueueError> for ApiError {
    fn from(error: QueueError) -> Self {
        Self::Redis(error)
    }
}

impl From<BadCursor> for ApiError {
    fn from(error: BadCursor) -> Self {
        Self::invalid("/cursor", error.to_string())
    }
}

impl From<StoreError> for ApiError {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl From<Refusal> for ApiError {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn devices_are_sent_away_for_longer_the_more_waits_and_not_all_for_the_same_time() {
        for (depth, at_least) in [(0, 2), (1_000, 2), (50_000, 50), (10_000_000, 300)] {
            let refused = ApiError::Queue(PushError::Full { depth });
            let waits: Vec<_> = (0..100).map(|_| refused.retry_after().unwrap()).collect();
            assert!(waits.iter().all(|wait| (at_least..=2 * at_least).contains(wait)), "{depth}: {waits:?}");
            assert!(waits.iter().any(|wait| *wait != waits[0]), "{depth}: {waits:?}");
        }
    }
}
