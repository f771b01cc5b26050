//! The values of the required members of a report.

use std::borrow::Cow;

use jiff::Timestamp;
use serde::de::DeserializeOwned;

use crate::{
    models::{DeviceId, event::json::string},
    time::parse_rfc3339,
};

/// The highest accepted speed, in Mbps.
const MAX_SPEED: f64 = 1_000_000.0;

pub(super) fn device_id(json: &str) -> Result<DeviceId, Cow<'static, str>> {
    let text: Cow<'_, str> = string(json).ok_or("must be a string")?;
    DeviceId::of_report(&text).map_err(|error| error.to_string().into())
}

pub(in crate::models::event) fn timestamp(json: &str) -> Result<Timestamp, Cow<'static, str>> {
    const EXPECTED: &str = "must be RFC 3339 with an offset, or integer milliseconds since 1970";
    let parsed = match string(json) {
        Some(text) => parse_rfc3339(&text),
        None => integer(json).and_then(|millis| Timestamp::from_millisecond(millis).ok()),
    };
    parsed.ok_or(EXPECTED.into())
}

pub(super) fn count(json: &str) -> Result<i32, Cow<'static, str>> {
    let value = integer(json).and_then(|value| i32::try_from(value).ok());
    value.filter(|&value| value >= 0).ok_or("must be an integer from 0 to 2147483647".into())
}

pub(super) fn speed(json: &str) -> Result<f64, Cow<'static, str>> {
    let value: Option<f64> = number(json);
    value.filter(|value| (0.0..=MAX_SPEED).contains(value)).ok_or("must be a number from 0 to 1000000".into())
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
