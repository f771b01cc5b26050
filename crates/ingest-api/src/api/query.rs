//! Parsers of common query members.

use jiff::Timestamp;
use pisync_core::{models::DeviceId, time::parse_time};

use crate::http::error::ApiError;

/// Parses the size of a page: 1 to 200, 50 by default.
pub(crate) fn limit(text: Option<&str>) -> Result<u32, ApiError> {
    number("/limit", text, 1..=200).map(|limit| limit.unwrap_or(50))
}

/// Parses a whole number.
pub(crate) fn number(
    pointer: &'static str,
    text: Option<&str>,
    range: std::ops::RangeInclusive<u32>,
) -> Result<Option<u32>, ApiError> {
    let Some(text) = text else { return Ok(None) };
    let number = text.parse().ok().filter(|number| range.contains(number));
    let expected = || format!("must be an integer from {} to {}", range.start(), range.end());
    number.map(Some).ok_or_else(|| ApiError::invalid(pointer, expected()))
}

/// Parses a time. An unescaped plus of an offset arrives as a space.
pub(crate) fn time(pointer: &'static str, text: Option<&str>) -> Result<Option<Timestamp>, ApiError> {
    let Some(text) = text else { return Ok(None) };
    let time = match text.rsplit_once(' ') {
        Some((time, offset)) if time.len() >= 19 => parse_time(&format!("{time}+{offset}")),
        _ => parse_time(text),
    };
    let expected = "must be RFC 3339 with an offset, or integer milliseconds since 1970";
    time.map(Some).ok_or_else(|| ApiError::invalid(pointer, expected))
}

/// Parses a device id from the path or the query.
pub(crate) fn device_id(pointer: &'static str, text: &str) -> Result<DeviceId, ApiError> {
    DeviceId::parse(text).map_err(|error| ApiError::invalid(pointer, error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_may_come_with_its_plus_unescaped() {
        let millis = |text| time("/from", Some(text)).unwrap().unwrap().as_millisecond();
        let utc = millis("2026-11-23T08:57:43.469Z");
        for same in ["2026-11-23T14:27:43.469+05:30", "2026-11-23T14:27:43.469 05:30", "2026-11-23 08:57:43.469Z"] {
            assert_eq!(millis(same), utc, "{same}");
        }
        assert_eq!(millis(&utc.to_string()), utc);
        for bad in ["", "now", "2026-11-23", "2026-11-23T14:27:43", "99999999999999999999", "1.5", " ", "é 1"] {
            assert!(time("/from", Some(bad)).is_err(), "{bad}");
        }
    }
}
