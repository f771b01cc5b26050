//! What a report may carry beside its substance. What cannot be kept of it is left out and named,
//! and the report is taken all the same.

use std::{borrow::Cow, fmt};

use super::{
    json::{Damage, Raw, string},
    visible::is_visible,
};
use crate::models::Unseen;

/// The most parts of one report that are named as left out.
const NAMED: usize = 10;

/// The name that a device gave a report: 1 to 64 visible characters.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ReportId(Box<str>);

/// What went wrong, by the device's own word.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ReportError {
    code: Box<str>,
    message: Option<Box<str>>,
}

/// A part of a report that was left out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ignored {
    /// JSON pointer (RFC 6901) to it, from the report on.
    pub pointer: Cow<'static, str>,
    /// Why it could not be kept, for people.
    pub detail: Cow<'static, str>,
}

/// Why a text is no [`ReportId`] or no part of a [`ReportError`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidDecoration {
    /// A report id is empty or too long.
    #[error("must have 1 to {} characters", ReportId::MAX_CHARS)]
    ReportIdLength,
    /// A report id holds a character that nobody can see.
    #[error("must have visible characters only, and has {0}")]
    Unseen(Unseen),
    /// An error's code is empty, too long, or has other characters.
    #[error(
        "must have a code of 1 to {} characters, each a letter from A to Z, a digit, _, . or -",
        ReportError::CODE_CHARS
    )]
    Code,
    /// An error's message is too long.
    #[error("must have at most {} characters", ReportError::MESSAGE_CHARS)]
    MessageLength,
}

impl ReportId {
    /// The longest, in characters.
    pub const MAX_CHARS: usize = 64;

    /// Takes `text` as the name of a report.
    ///
    /// Fails if it is empty, too long, or holds a character that cannot be seen.
    pub fn parse(text: &str) -> Result<Self, InvalidDecoration> {
        if text.is_empty() || text.chars().nth(Self::MAX_CHARS).is_some() {
            return Err(InvalidDecoration::ReportIdLength);
        }
        Unseen::first_in(text).map_or_else(|| Ok(Self(text.into())), |unseen| Err(InvalidDecoration::Unseen(unseen)))
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl ReportError {
    /// The longest code, in characters.
    pub const CODE_CHARS: usize = 32;

    /// The longest message, in characters.
    pub const MESSAGE_CHARS: usize = 200;

    /// Takes a code, and a message if there is one.
    ///
    /// Fails if either is not as it must be.
    pub fn new(code: &str, message: Option<&str>) -> Result<Self, InvalidDecoration> {
        let is_known = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-');
        if !(1..=Self::CODE_CHARS).contains(&code.len()) || !code.bytes().all(is_known) {
            return Err(InvalidDecoration::Code);
        }
        let message = message.filter(|message| !message.is_empty());
        if let Some(message) = message {
            if message.chars().nth(Self::MESSAGE_CHARS).is_some() {
                return Err(InvalidDecoration::MessageLength);
            }
            if let Some(unseen) = Unseen::first_in(message) {
                return Err(InvalidDecoration::Unseen(unseen));
            }
        }
        Ok(Self { code: code.into(), message: message.map(Into::into) })
    }

    /// A short word for what went wrong.
    pub fn code(&self) -> &str {
        &self.code
    }

    /// What went wrong, for people.
    pub fn message(&self) -> Option<&str> {
        self.message.as_deref()
    }
}

impl fmt::Display for ReportId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What was left out of one report. It is bounded, however much there is.
#[derive(Debug, Default)]
pub(in crate::models) struct LeftOut {
    named: Vec<Ignored>,
    more: usize,
}

impl LeftOut {
    pub(in crate::models) fn name(
        &mut self,
        pointer: impl Into<Cow<'static, str>>,
        detail: impl Into<Cow<'static, str>>,
    ) {
        if self.named.len() < NAMED {
            self.named.push(Ignored { pointer: pointer.into(), detail: detail.into() });
        } else {
            self.more += 1;
        }
    }

    pub(in crate::models) fn into_ignored(mut self) -> Vec<Ignored> {
        if self.more > 0 {
            let detail = format!("{} more parts of this report were left out", self.more);
            self.named.push(Ignored { pointer: "".into(), detail: detail.into() });
        }
        self.named
    }
}

/// Reads `reportId`.
pub(super) fn report_id(raw: Raw<'_>, left_out: &mut LeftOut) -> Option<ReportId> {
    let parse = |text: &str| ReportId::parse(text).map_err(|error| error.to_string().into());
    let read = raw.exact().and_then(|json| match string(&json) {
        Some(text) => parse(&text),
        // A counter is written as a number: its digits are the text.
        None if json.bytes().all(|byte| byte.is_ascii_digit()) => parse(&json),
        None => Err(Cow::Borrowed("must be a string or a whole number")),
    });
    read.map_err(|detail| left_out.name("/reportId", detail)).ok()
}

/// Reads `error`. White space in its message becomes plain spaces; a message that cannot be kept
/// leaves the code. Of a message in another encoding the bytes that are no UTF-8 become U+FFFD.
pub(super) fn error(raw: Raw<'_>, left_out: &mut LeftOut) -> Option<ReportError> {
    let Some(members) = raw.members() else {
        left_out.name("/error", "must be an object with a code");
        return None;
    };
    let member = |name| members.iter().find(|(known, _)| known == name).map(|(_, value)| *value);
    let code = member("code").and_then(|raw| Some(string(&raw.mended()?.0)?.into_owned()));
    let Some(code) = code.filter(|code| ReportError::new(code, None).is_ok()) else {
        left_out.name("/error", InvalidDecoration::Code.to_string());
        return None;
    };
    let text = member("message").and_then(|raw| message(raw, left_out));
    let with_message = ReportError::new(&code, text.as_deref());
    with_message
        .map_err(|error| left_out.name("/error/message", error.to_string()))
        .or_else(|()| ReportError::new(&code, None))
        .ok()
}

/// The text of an error's message; null says nothing.
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

/// The text of a label's value: a string without the white space around it, or a number or a
/// boolean as it was written.
///
/// Fails if it is neither; with what is wrong, if it is no JSON or no UTF-8.
pub(in crate::models) fn label_value(raw: Raw<'_>) -> Result<Cow<'_, str>, Option<Damage>> {
    let (json, damage) = raw.mended().ok_or(None)?;
    match (json.as_bytes().first(), damage) {
        (_, Some(damage @ Damage::NoUtf8 { .. })) => Err(Some(damage)),
        (Some(b'"'), _) => string(&json).map(|text| text.trim().to_owned().into()).ok_or(None),
        (Some(b'-' | b'0'..=b'9' | b't' | b'f'), _) => Ok(json),
        _ => Err(None),
    }
}

/// A member of `/labels` as a JSON pointer, shortened where the name is long.
pub(in crate::models) fn label_pointer(name: &str) -> String {
    let seen = |c: char| if is_visible(c) { c } else { char::REPLACEMENT_CHARACTER };
    let short: String = name.chars().take(crate::models::Labels::NAME_BYTES).map(seen).collect();
    let more = if name.chars().nth(crate::models::Labels::NAME_BYTES).is_some() { "…" } else { "" };
    format!("/labels/{}{more}", short.replace('~', "~0").replace('/', "~1"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_id_is_1_to_64_visible_characters() {
        for text in ["1", "b55b5e5a-aadc-4321-a12d-51b872166d48", "é 7", &"学".repeat(64)] {
            assert_eq!(ReportId::parse(text).unwrap().as_str(), text);
        }
        for text in ["", &"x".repeat(65), "a\nb", "\u{200b}", "\u{feff}7"] {
            assert!(ReportId::parse(text).is_err(), "{text:?}");
        }
    }

    fn read_error(raw: &str) -> (Option<(String, Option<String>)>, Vec<String>) {
        let mut left_out = LeftOut::default();
        let error = error(Raw::of(raw.as_bytes()), &mut left_out);
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

    #[test]
    fn what_was_left_out_is_said_in_few_words_however_much_it_is() {
        let mut left_out = LeftOut::default();
        for number in 0..10_000 {
            left_out.name(label_pointer(&format!("{number}{}", "~/".repeat(1_000))), "no name");
        }
        let ignored = left_out.into_ignored();
        assert_eq!((ignored.len(), ignored[10].detail.as_ref()), (11, "9990 more parts of this report were left out"));
        assert!(ignored[0].pointer.len() < 120 && ignored[0].pointer.starts_with("/labels/0~0~1"), "{ignored:?}");
    }
}
