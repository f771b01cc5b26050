//! Reading a body: up to a limit, within a time, unpacked where it is packed.

use std::{io::Read, time::Duration};

use actix_web::{
    HttpMessage, HttpRequest,
    http::header::CONTENT_ENCODING,
    web::{Bytes, BytesMut, Payload},
};
use flate2::read::MultiGzDecoder;
use futures_util::StreamExt;
use tokio::time::timeout;

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
    let media_type = request.content_type();
    let Some((_, subtype)) = media_type.split_once('/') else {
        return media_type.is_empty().then_some(Form::Json);
    };
    match subtype {
        "x-ndjson" | "ndjson" | "jsonl" | "x-jsonlines" => Some(Form::Lines),
        _ if subtype == "json" || subtype.ends_with("+json") => Some(Form::Json),
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
    if packed { unpack(&body) } else { Ok(body) }
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

fn is_packed(request: &HttpRequest) -> Result<bool, ApiError> {
    match request.headers().get(CONTENT_ENCODING).map(|encoding| encoding.as_bytes().to_ascii_lowercase()).as_deref() {
        None | Some(b"" | b"identity") => Ok(false),
        Some(b"gzip" | b"x-gzip") => Ok(true),
        Some(_) => Err(ApiError::Encoding),
    }
}

/// Never makes more than the limit, however much is packed in it.
fn unpack(packed: &[u8]) -> Result<Bytes, ApiError> {
    let mut body = Vec::new();
    let read = MultiGzDecoder::new(packed).take(BODY_LIMIT as u64 + 1).read_to_end(&mut body);
    match read {
        Ok(size) if size > BODY_LIMIT => Err(ApiError::TooLarge { limit: BODY_LIMIT }),
        Ok(_) => Ok(body.into()),
        Err(_) => Err(ApiError::malformed("the body is not gzip as its Content-Encoding says")),
    }
}
