//! The error of a sync, as the device reports it.

use utoipa::openapi::{ObjectBuilder, Schema, schema::Type};

use super::{InvalidDetail, LeftOut};
use crate::models::{
    Unseen,
    event::{
        json::{Damage, Raw, string},
        schema::kept_if,
    },
};

/// The error of a sync, as the device reports it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ReportError {
    code: Box<str>,
    message: Option<Box<str>>,
}

impl ReportError {
    /// The longest code, in characters.
    pub const CODE_CHARS: usize = 32;

    /// The longest message, in characters.
    pub const MESSAGE_CHARS: usize = 200;

    /// Returns an error with a code, and a message if there is one.
    ///
    /// Fails if either is invalid.
    pub fn new(code: &str, message: Option<&str>) -> Result<Self, InvalidDetail> {
        let is_known = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-');
        if !(1..=Self::CODE_CHARS).contains(&code.len()) || !code.bytes().all(is_known) {
            return Err(InvalidDetail::Code);
        }
        let message = message.filter(|message| !message.is_empty());
        if let Some(message) = message {
            if message.chars().nth(Self::MESSAGE_CHARS).is_some() {
                return Err(InvalidDetail::MessageLength);
            }
            if let Some(unseen) = Unseen::first_in(message) {
                return Err(InvalidDetail::Unseen(unseen));
            }
        }
        Ok(Self { code: code.into(), message: message.map(Into::into) })
    }

    /// Returns the code: a short word for the error.
    pub fn code(&self) -> &str {
        &self.code
    }

    /// Returns the message, for people.
    pub fn message(&self) -> Option<&str> {
        self.message.as_deref()
    }
}

/// Reads `error`. White space in its message becomes plain spaces. If the message is invalid, the code is kept alone.
/// In a message of another encoding, bytes that are not UTF-8 become U+FFFD.
pub(in crate::models::event) fn read(raw: Raw<'_>, left_out: &mut LeftOut) -> Option<ReportError> {
    let Some(members) = raw.members() else {
        left_out.name("/error", "must be an object with a code");
        return None;
    };
    let member = |name| members.iter().find(|(known, _)| known == name).map(|(_, value)| *value);
    let code = member("code").and_then(|raw| Some(string(&raw.mended()?.0)?.into_owned()));
    let Some(code) = code.filter(|code| ReportError::new(code, None).is_ok()) else {
        left_out.name("/error", InvalidDetail::Code.to_string());
        return None;
    };
    let text = member("message").and_then(|raw| message(raw, left_out));
    let with_message = ReportError::new(&code, text.as_deref());
    with_message
        .map_err(|error| left_out.name("/error/message", error.to_string()))
        .or_else(|()| ReportError::new(&code, None))
        .ok()
}

/// Returns the text of an error's message; null counts as absent.
fn message(raw: Raw<'_>, left_out: &mut LeftOut) -> Option<String> {
    if matches!(raw, Raw::Json("null")) {
        return None;
    }
    let mended = raw.mended();
    let text = mended.as_ref().and_then(|(json, _)| string(json));
    let text = text.map(|text| text.split_whitespace().collect::<Vec<_>>().join(" "));
    match (&text, mended.as_ref().and_then(|(_, damage)| *damage)) {
        (None, _) => left_out.name("/error/message", "must be a string"),
        (Some(_), Some(damage @ Damage::NoUtf8 { .. })) => {
            left_out.name("/error/message", format!("{damage}; each such byte was replaced"));
        }
        (Some(_), _) => {}
    }
    text
}

/// Returns the schema of `error` in the `OpenAPI` document.
pub(in crate::models::event) fn schema() -> Schema {
    let text = || ObjectBuilder::new().schema_type(Type::String);
    let code = text().min_length(Some(1)).max_length(Some(ReportError::CODE_CHARS)).pattern(Some("^[A-Za-z0-9_.-]+$"));
    let message = text().max_length(Some(ReportError::MESSAGE_CHARS));
    kept_if(ObjectBuilder::new().property("code", code).property("message", message).required("code"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_error(raw: &str) -> (Option<(String, Option<String>)>, Vec<String>) {
        let mut left_out = LeftOut::default();
        let error = read(Raw::of(raw.as_bytes()), &mut left_out);
        let error = error.map(|error| (error.code().to_owned(), error.message().map(str::to_owned)));
        (error, left_out.into_ignored().into_iter().map(|ignored| ignored.pointer.into_owned()).collect())
    }

    #[test]
    fn an_error_keeps_its_code_where_its_message_cannot_be_kept() {
        let said = |code: &str, message: Option<&str>| Some((code.to_owned(), message.map(str::to_owned)));
        let none = Vec::<String>::new();
        assert_eq!(read_error(r#"{"code":"E_1.a-b"}"#), (said("E_1.a-b", None), none.clone()));
        assert_eq!(read_error(r#"{"code":"E","message":null,"more":[]}"#), (said("E", None), none.clone()));
        assert_eq!(
            read_error(r#"{"message":" disk\n\tfull ","code":"E"}"#),
            (said("E", Some("disk full")), none.clone())
        );
        let long = format!(r#"{{"code":"E","message":"{}"}}"#, "é".repeat(200));
        assert_eq!(read_error(&long).1, none);
        for message in [format!("\"{}\"", "x".repeat(201)), "7".into(), r#""\u202eabc""#.into(), "{}".into()] {
            let raw = format!(r#"{{"code":"E","message":{message}}}"#);
            assert_eq!(read_error(&raw), (said("E", None), vec!["/error/message".to_owned()]), "{raw}");
        }
        let long = format!(r#"{{"code":"{}"}}"#, "x".repeat(33));
        for raw in ["7", "[]", "\"E\"", "{}", r#"{"code":7}"#, r#"{"code":""}"#, r#"{"code":"é"}"#, "true", &long] {
            assert_eq!(read_error(raw), (None, vec!["/error".to_owned()]), "{raw}");
        }
    }
}
