//! Reading a body: up to a limit, within a time, unpacked where it is packed.

use std::time::Duration;

use actix_web::{
    HttpMessage, HttpRequest,
    web::{Bytes, BytesMut, Payload},
};
use futures_util::StreamExt;
use tokio::time::timeout;

use super::packing::{is_packed, unpack};
use crate::error::ApiError;

/// The most bytes of a body, packed and unpacked.
const BODY_LIMIT: usize = 1024 * 1024;

/// How long a body may take: 1 MiB at 0.14 Mbps. Who is slower is not to hold the server.
const PATIENCE: Duration = Duration::from_mins(1);

/// What a body is by its own words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// JSON, or nothing said.
    Json,
    /// JSON, one value in each line.
    Lines,
}

/// The form of the body; none that is known is an error of the caller's choice.
pub(super) fn form(request: &HttpRequest) -> Option<Form> {
    // Names of types are the same in any case (RFC 9110).
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

/// The body to its end.
pub(super) async fn read(request: &HttpRequest, payload: Payload) -> Result<Bytes, ApiError> {
    let packed = is_packed(request)?;
    let length = request.headers().get("content-length").and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
    if length.is_some_and(|length| length > BODY_LIMIT as u64) {
        return Err(ApiError::TooLarge { limit: BODY_LIMIT });
    }
    let body = timeout(PATIENCE, gather(payload)).await.map_err(|_| ApiError::Slow)??;
    unpack(packed, body, BODY_LIMIT)
}

/// By hand: the framework's own way takes 32 KiB for each body, whatever its size.
async fn gather(mut payload: Payload) -> Result<Bytes, ApiError> {
    let mut body = BytesMut::new();
    while let Some(chunk) = payload.next().await {
        let chunk = chunk.map_err(|_| ApiError::malformed("the body could not be read to its end"))?;
        if body.len() + chunk.len() > BODY_LIMIT {
            return Err(ApiError::TooLarge { limit: BODY_LIMIT });
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body.freeze())
}
