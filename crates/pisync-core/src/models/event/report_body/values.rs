//! The values of the required members of a report.

use std::borrow::Cow;

use jiff::Timestamp;
use serde::de::DeserializeOwned;

use crate::models::{DeviceId, event::json::string};

/// The highest accepted speed, in Mbps.
const MAX_SPEED: f64 = 1_000_000.0;

pub(super) fn device_id(json: &str) -> Result<DeviceId, Cow<'static, str>> {
    let text: Cow<'_, str> = string(json).ok_or("must be a string")?;
    DeviceId::of_report(&text).map_err(|error| error.to_string().into())
}

pub(in crate::models::event) fn timestamp(json: &str) -> Result<Timestamp, Cow<'static, str>> {
    const EXPECTED: &str = "must be RFC 3339 with an offset, or integer milliseconds since 1970";
    let parsed = match string(json) {
        Some(text) if is_rfc3339_shaped(text.as_bytes()) => text.parse().ok(),
        Some(_) => None,
        None => integer(json).and_then(|millis| Timestamp::from_millisecond(millis).ok()),
    };
    let timestamp: Timestamp = parsed.ok_or(EXPECTED)?;
    Timestamp::from_millisecond(timestamp.as_millisecond()).map_err(|_| EXPECTED.into())
}

pub(super) fn count(json: &str) -> Result<i32, Cow<'static, str>> {
    let value = integer(json).and_then(|value| i32::try_from(value).ok());
    value.filter(|&value| value >= 0).ok_or("must be an integer from 0 to 2147483647".into())
}

pub(super) fn speed(json: &str) -> Result<f64, Cow<'static, str>> {
    let value: Option<f64> = number(json);
    value.filter(|value| (0.0..=MAX_SPEED).contains(value)).ok_or("must be a number from 0 to 1000000".into())
}

/// Returns the time that a text gives: RFC 3339 with an offset, or integer milliseconds since 1970.
pub fn parse_time(text: &str) -> Option<Timestamp> {
    let parsed: Option<Timestamp> = match text.parse() {
        Ok(millis) => Timestamp::from_millisecond(millis).ok(),
        Err(_) if is_rfc3339_shaped(text.as_bytes()) => text.parse().ok(),
        Err(_) => None,
    };
    Timestamp::from_millisecond(parsed?.as_millisecond()).ok()
}

/// Returns false for the ISO 8601 forms that RFC 3339 excludes (basic format, bracketed zones).
fn is_rfc3339_shaped(text: &[u8]) -> bool {
    text.len() >= 20
        && text[..19].iter().enumerate().all(|(i, byte)| match i {
            4 | 7 => *byte == b'-',
            10 => matches!(byte, b'T' | b't' | b' '),
            13 | 16 => *byte == b':',
            _ => byte.is_ascii_digit(),
        })
        && text[19..].iter().all(|byte| matches!(byte, b'.' | b'0'..=b'9' | b'Z' | b'z' | b'+' | b'-' | b':'))
}

/// Returns a whole number, also one written as `8.0` or `1e3`.
fn integer(json: &str) -> Option<i64> {
    const EXACT: f64 = 9_007_199_254_740_992.0;
    number(json).or_else(|| {
        let value: f64 = number(json)?;
        #[expect(clippy::cast_possible_truncation, reason = "whole and within 2^53")]
        (value.fract() == 0.0 && value.abs() <= EXACT).then_some(value as i64)
    })
}

fn number<T: DeserializeOwned>(json: &str) -> Option<T> {
    serde_json::from_str(json).ok()
}
