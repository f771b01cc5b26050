//! Reads bodies of reports: JSON is accepted whatever the headers say.
//!
//! A final error loses a report for good. So it is returned only if no retry could help, and it names the cause.

use std::borrow::Cow;

use actix_web::{
    HttpRequest,
    web::{Bytes, Payload},
};
use pisync_core::models::names_of_object;

use crate::http::{
    body::{self, Body, Form},
    error::ApiError,
};

/// The byte order mark, which some editors write before a text.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// Reads one report: the body of `POST /api/sync-event`.
pub(super) async fn one(request: &HttpRequest, payload: Payload) -> Result<Body, ApiError> {
    let body = body::read(request, payload).await?;
    let text = json(request, &body, "application/json")?;
    let body = body.narrowed(text);
    if body.starts_with(b"[") {
        let wrong_route = "an array of reports: send it to POST /api/v1/sync-events, or one report at a time here";
        return Err(ApiError::malformed(wrong_route));
    }
    Ok(body)
}

/// Reads many reports: the body of `POST /api/v1/sync-events`, and its form.
pub(super) async fn many(request: &HttpRequest, payload: Payload) -> Result<(Form, Body), ApiError> {
    let said = body::form(request);
    let body = body::read(request, payload).await?;
    let text = json(request, &body, "application/json or application/x-ndjson")?;
    let body = body.narrowed(text);
    // A body declared as lines may still be one array or one object.
    let are_lines = said == Some(Form::Lines) && !body.starts_with(b"[") && names_of_object(&body).is_none();
    let form = if are_lines { Form::Lines } else { form(&body) };
    Ok((form, body))
}

/// Returns the form of a body without a type or with a wrong one: several values, or a single report.
fn form(body: &[u8]) -> Form {
    if !body.starts_with(b"{") {
        return Form::Json;
    }
    let Some(names) = names_of_object(body) else {
        // An array or object broken in its first line is still a batch.
        let is_batch = memchr::memmem::find(body, b"\"events\"").is_some();
        return if is_batch || !body.contains(&b'\n') { Form::Json } else { Form::Lines };
    };
    let has = |known: &str| names.iter().any(|name| name == known);
    let is_report = (has("deviceId") || has("device_id")) && !has("events");
    if is_report { Form::One } else { Form::Json }
}

/// Returns the JSON in a body, whatever its header says, without a byte order mark and without surrounding zeros
/// and white space.
fn json(request: &HttpRequest, body: &Bytes, accept: &'static str) -> Result<Bytes, ApiError> {
    if let Some(name) = wide(body) {
        return Err(ApiError::malformed(format!("the body is {name}: send it as UTF-8")));
    }
    let text = body.strip_prefix(BYTE_ORDER_MARK).unwrap_or(body);
    let is_blank = |byte: &u8| byte.is_ascii_whitespace() || matches!(byte, 0 | 0x1a);
    let start = text.iter().position(|byte| !is_blank(byte)).unwrap_or(text.len());
    let end = text.iter().rposition(|byte| !is_blank(byte)).map_or(start, |last| last + 1);
    let text = &text[start..end];
    if body::form(request).is_none() && !text.starts_with(b"{") && !text.starts_with(b"[") {
        return Err(ApiError::MediaType { accept });
    }
    Ok(body.slice_ref(text))
}

/// Returns the name of an encoding with more than one byte for each character, if the body has one.
fn wide(body: &[u8]) -> Option<Cow<'static, str>> {
    match body {
        [0xff, 0xfe, 0, 0, ..] | [0, 0, 0xfe, 0xff, ..] => Some("UTF-32".into()),
        [0xff, 0xfe, ..] | [b'{' | b'[', 0, ..] => Some("UTF-16 (little endian)".into()),
        [0xfe, 0xff, ..] | [0, b'{' | b'[', ..] => Some("UTF-16 (big endian)".into()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;

    const REPORT: &str = r#"{"deviceId":"a","timestamp":0}"#;

    fn read(content_type: &str, body: &[u8]) -> Result<Bytes, ApiError> {
        let request = TestRequest::default().insert_header(("content-type", content_type)).to_http_request();
        json(&request, &Bytes::copy_from_slice(body), "application/json")
    }

    #[test]
    fn json_is_taken_whatever_its_header_says() {
        for content_type in [
            "application/json",
            "Application/JSON",
            "application/json; charset=\"UTF-8\"",
            "application/json;charset=latin-1",
            "text/plain",
            "application/x-www-form-urlencoded",
            "application/octet-stream",
            "",
            "json",
        ] {
            assert_eq!(read(content_type, REPORT.as_bytes()).unwrap(), REPORT, "{content_type}");
        }
        for form in ["deviceId=a&timestamp=0", "", "<html>", "a"] {
            let refused = read("application/x-www-form-urlencoded", form.as_bytes());
            assert!(matches!(refused, Err(ApiError::MediaType { .. })), "{form}");
        }
    }

    #[test]
    fn what_editors_and_c_programs_add_is_left_out() {
        for body in [
            format!("\u{feff}{REPORT}"),
            format!("{REPORT}\r\n"),
            format!("{REPORT}\0"),
            format!("{REPORT}\n\0\0"),
            format!(" \n{REPORT}\u{1a}"),
        ] {
            assert_eq!(read("application/json", body.as_bytes()).unwrap(), REPORT, "{body:?}");
        }
    }

    #[test]
    fn another_encoding_is_named() {
        let little: Vec<u8> = REPORT.encode_utf16().flat_map(u16::to_le_bytes).collect();
        let big: Vec<u8> = REPORT.encode_utf16().flat_map(u16::to_be_bytes).collect();
        for body in [&little[..], &[&[0xff, 0xfe], &little[..]].concat(), &big, &[&[0xfe, 0xff], &big[..]].concat()] {
            let refused = read("application/json", body).unwrap_err();
            assert!(refused.to_string().contains("UTF-16"), "{refused}");
        }
    }

    #[test]
    fn lines_are_known_without_their_type() {
        for (body, expected) in [
            (REPORT.to_owned(), Form::One),
            (REPORT.replace("\"a\"", "\"a\nb\""), Form::One),
            (REPORT.replace('}', ",\"labels\":{\"events\":\"7\"}}"), Form::One),
            (format!("{REPORT}\n{REPORT}"), Form::Lines),
            (format!("{REPORT}\ngarbage"), Form::Lines),
            (format!("{{broken\n{REPORT}"), Form::Lines),
            (format!("[{REPORT}]"), Form::Json),
            (format!(r#"{{"events":[{REPORT}]}}"#), Form::Json),
            (format!("{{\n\"events\":[{REPORT}\n]"), Form::Json),
            ("{}".to_owned(), Form::Json),
            ("7".to_owned(), Form::Json),
        ] {
            assert_eq!(form(body.as_bytes()), expected, "{body}");
        }
    }
}
