//! The author and the comment of an operator's action.

use actix_web::{HttpMessage, HttpRequest, web::Payload};
use serde::de::DeserializeOwned;

use crate::http::{body, error::ApiError};

/// Maximum length of a name, in characters.
const NAME: usize = 128;

/// Maximum length of a comment, in characters.
const COMMENT: usize = 1_000;

/// Reads the body as JSON of this type.
pub(super) async fn read<T: DeserializeOwned>(request: &HttpRequest, payload: Payload) -> Result<T, ApiError> {
    // No default type, unlike for reports: a page of another site can send a body without one.
    if !request.content_type().eq_ignore_ascii_case("application/json") {
        return Err(ApiError::MediaType { accept: "application/json" });
    }
    let body = body::read(request, payload).await?;
    serde_json::from_slice(&body).map_err(|error| ApiError::malformed(format!("the body cannot be read: {error}")))
}

/// Returns the author of an action: the id of the key, and the given name.
pub(crate) fn name(key_id: Option<&str>, by: Option<&str>) -> Result<String, ApiError> {
    let by = by.map(|by| text("/by", by, 1..=NAME)).transpose()?;
    Ok(match (key_id, by) {
        (Some(key), Some(by)) => format!("{by} (key {key})"),
        (Some(key), None) => format!("key {key}"),
        (None, Some(by)) => by.to_owned(),
        (None, None) => "anyone".to_owned(),
    })
}

/// Checks a comment.
pub(crate) fn comment(comment: &str) -> Result<&str, ApiError> {
    text("/comment", comment, 0..=COMMENT)
}

fn text<'a>(
    pointer: &'static str,
    text: &'a str,
    length: std::ops::RangeInclusive<usize>,
) -> Result<&'a str, ApiError> {
    if !length.contains(&text.chars().count()) {
        return Err(ApiError::invalid(pointer, format!("must have {} to {} characters", length.start(), length.end())));
    }
    match text.chars().find(|character| is_hidden(*character)) {
        None => Ok(text),
        Some(hidden) => {
            let code = u32::from(hidden);
            Err(ApiError::invalid(
                pointer,
                format!("holds U+{code:04X}, a character that is invisible or reverses others"),
            ))
        }
    }
}

/// Returns whether a character is invisible, or moves others. A comment may have line breaks.
fn is_hidden(character: char) -> bool {
    let is_line = matches!(character, '\n' | '\r' | '\t');
    let turns = matches!(character, '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{ad}');
    (character.is_control() && !is_line) || turns
}
