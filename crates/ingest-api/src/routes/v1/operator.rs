//! What a person says with a deed: who they are, and why.

use actix_web::{HttpRequest, web::Payload};
use pisync_core::models::FieldError;
use serde::de::DeserializeOwned;

use super::super::body::{self, Form};
use crate::{auth::Caller, error::ApiError};

/// The most characters of a name.
const NAME: usize = 128;

/// The most characters of a comment.
const COMMENT: usize = 1_000;

/// The body, as JSON of this shape.
pub(super) async fn read<T: DeserializeOwned>(request: &HttpRequest, payload: Payload) -> Result<T, ApiError> {
    if body::form(request) != Some(Form::Json) {
        return Err(ApiError::MediaType { accept: "application/json" });
    }
    let body = body::read(request, payload).await?;
    serde_json::from_slice(&body).map_err(|error| ApiError::malformed(format!("the body cannot be read: {error}")))
}

/// Who does it: the key, and the name that they give themselves.
pub(super) fn name(caller: &Caller, by: Option<&str>) -> Result<String, ApiError> {
    let by = by.map(|by| text("/by", by, 1..=NAME)).transpose()?;
    Ok(match (caller.key_id(), by) {
        (Some(key), Some(by)) => format!("{by} (key {key})"),
        (Some(key), None) => format!("key {key}"),
        (None, Some(by)) => by.to_owned(),
        (None, None) => "anyone".to_owned(),
    })
}

/// Why.
pub(super) fn comment(comment: &str) -> Result<&str, ApiError> {
    text("/comment", comment, 0..=COMMENT)
}

fn text<'a>(pointer: &str, text: &'a str, length: std::ops::RangeInclusive<usize>) -> Result<&'a str, ApiError> {
    if length.contains(&text.chars().count()) {
        return Ok(text);
    }
    Err(fault(pointer, format!("must have {} to {} characters", length.start(), length.end())))
}

/// A fault of a member of the body.
pub(super) fn fault(pointer: &str, detail: impl Into<String>) -> ApiError {
    ApiError::Invalid(vec![FieldError { pointer: pointer.to_owned().into(), code: "invalid", detail: detail.into() }])
}
