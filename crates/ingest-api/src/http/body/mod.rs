//! Reads a body up to a size limit, within a time limit, and unpacks it.

mod packing;

use std::{ops::Deref, rc::Rc, time::Duration};

use actix_web::{
    HttpMessage, HttpRequest,
    web::{Bytes, BytesMut, Data, Payload},
};
use futures_util::StreamExt;
use tokio::time::{Instant, timeout_at};

use self::packing::{is_packed, unpack};
use crate::http::{Budget, Overrun, Taken, error::ApiError, server::Connection, share};

/// Maximum size of a body in bytes, packed and unpacked.
const BODY_LIMIT: usize = 1024 * 1024;

/// Minimum time allowed for any body. After that it must arrive at 1 kB/s on average, which a slow 2G line does.
const BODY_TIMEOUT: Duration = Duration::from_mins(1);

/// Maximum size of a form in bytes, and its timeout.
const FORM_LIMIT: usize = 16 * 1024;
const FORM_TIMEOUT: Duration = Duration::from_secs(10);

/// Bytes of a body that are counted with its connection. A report is smaller, so reports are read however many
/// large bodies are in flight.
const FREE: usize = 4 * 1024;

/// A body with its share of the memory budget, which is refunded on drop.
#[derive(Debug)]
pub(crate) struct Body {
    bytes: Bytes,
    taken: Option<Taken>,
}

impl Body {
    /// Returns a part of the bytes with the whole share.
    pub(crate) fn narrowed(self, bytes: Bytes) -> Self {
        Self { bytes, ..self }
    }
}

impl Deref for Body {
    type Target = Bytes;

    fn deref(&self) -> &Bytes {
        &self.bytes
    }
}

/// Form of a body by its `Content-Type`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// JSON, or no type.
    Json,
    /// JSON lines: one value on each line.
    Lines,
    /// A single report in another format than JSON.
    One,
}

/// Returns the form of the body; `None` if its type is unknown.
pub(crate) fn form(request: &HttpRequest) -> Option<Form> {
    // Media types are case-insensitive (RFC 9110).
    let media_type = request.content_type().to_ascii_lowercase();
    let Some((_, subtype)) = media_type.split_once('/') else {
        return media_type.is_empty().then_some(Form::Json);
    };
    match subtype.trim() {
        "x-ndjson" | "ndjson" | "jsonl" | "x-jsonlines" => Some(Form::Lines),
        subtype if subtype == "json" || subtype.ends_with("+json") => Some(Form::Json),
        _ => None,
    }
}

/// Returns whether the body is a form by its `Content-Type`.
pub(crate) fn is_form(request: &HttpRequest) -> bool {
    request.content_type().eq_ignore_ascii_case("application/x-www-form-urlencoded")
}

/// Reads the whole body of a form.
pub(crate) async fn body_of_form(request: &HttpRequest, payload: Payload) -> Result<Body, ApiError> {
    if is_packed(request)? {
        return Err(ApiError::Encoding { sent: "gzip".into() });
    }
    read_up_to(request, payload, FORM_LIMIT, FORM_TIMEOUT).await
}

/// Reads the whole body.
pub(crate) async fn read(request: &HttpRequest, payload: Payload) -> Result<Body, ApiError> {
    let packed = is_packed(request)?;
    let Body { bytes, mut taken } = read_up_to(request, payload, BODY_LIMIT, BODY_TIMEOUT).await?;
    let length = bytes.len();
    let bytes = unpack(packed, bytes, BODY_LIMIT)?;
    if bytes.len() > length.max(FREE) {
        take(request, &mut taken, bytes.len())?;
    }
    Ok(Body { bytes, taken })
}

async fn read_up_to(
    request: &HttpRequest,
    payload: Payload,
    limit: usize,
    patience: Duration,
) -> Result<Body, ApiError> {
    let length = request.headers().get("content-length").and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
    if length.is_some_and(|length| length > limit as u64) {
        return Err(ApiError::TooLarge { limit });
    }
    gather(request, payload, limit, patience).await
}

/// Not by the framework, which allocates 32 KiB for each body, whatever its size.
async fn gather(
    request: &HttpRequest,
    mut payload: Payload,
    limit: usize,
    patience: Duration,
) -> Result<Body, ApiError> {
    let start = Instant::now();
    let until = |read: usize| start + patience + Duration::from_millis(read as u64);
    let connection = request.conn_data::<Rc<Connection>>();
    let (mut body, mut taken) = (BytesMut::new(), None);
    while let Some(chunk) = timeout_at(until(body.len()), payload.next()).await.map_err(|_| ApiError::Slow)? {
        let chunk = chunk.map_err(|_| ApiError::malformed("the body could not be read to its end"))?;
        if let Some(connection) = connection {
            connection.took(chunk.len());
        }
        if body.len() + chunk.len() > limit {
            return Err(ApiError::TooLarge { limit });
        }
        if body.len() + chunk.len() > FREE {
            // The capacity of a growing buffer is up to twice its length.
            take(request, &mut taken, 2 * chunk.len())?;
        }
        body.extend_from_slice(&chunk);
    }
    if let Some(connection) = connection {
        connection.body_ended();
    }
    Ok(Body { bytes: body.freeze(), taken })
}

/// Takes memory for the body from the budget, as a share of the caller.
fn take(request: &HttpRequest, taken: &mut Option<Taken>, amount: usize) -> Result<(), ApiError> {
    if taken.is_none() {
        let Some(budget) = request.app_data::<Data<Budget>>() else { return Ok(()) };
        *taken = Some(share(request, budget));
    }
    taken.as_mut().map_or(Ok(()), |taken| taken.take(amount)).map_err(|Overrun| ApiError::Crowded)
}
