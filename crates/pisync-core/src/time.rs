//! Times as text, and the hour, minute or day in which one lies: once for all programs.

use jiff::{RoundMode, Timestamp, TimestampRound, Unit};

/// Returns a time as RFC 3339 in UTC, with exactly three digits of a second, as JavaScript writes it.
pub fn rfc3339(at: Timestamp) -> String {
    format!("{at:.3}")
}

/// Returns a time written by people: RFC 3339 with an offset, or integer milliseconds since 1970.
pub fn parse_time(text: &str) -> Option<Timestamp> {
    match text.parse() {
        Ok(millis) => Timestamp::from_millisecond(millis).ok(),
        Err(_) => parse_rfc3339(text),
    }
}

/// Returns the time of a text in RFC 3339 with an offset, in whole milliseconds.
///
/// The ISO 8601 forms that RFC 3339 excludes (basic format, bracketed zones) are invalid.
pub fn parse_rfc3339(text: &str) -> Option<Timestamp> {
    has_shape_of_rfc3339(text.as_bytes()).then(|| text.parse().ok())?.map(in_millis)
}

fn has_shape_of_rfc3339(text: &[u8]) -> bool {
    text.len() >= 20
        && text[..19].iter().enumerate().all(|(i, byte)| match i {
            4 | 7 => *byte == b'-',
            10 => matches!(byte, b'T' | b't' | b' '),
            13 | 16 => *byte == b':',
            _ => byte.is_ascii_digit(),
        })
        && text[19..].iter().all(|byte| matches!(byte, b'.' | b'0'..=b'9' | b'Z' | b'z' | b'+' | b'-' | b':'))
}

/// Returns a time in whole milliseconds, as all stored times are.
pub fn in_millis(at: Timestamp) -> Timestamp {
    Timestamp::from_millisecond(at.as_millisecond()).unwrap_or(at)
}

/// Returns a time in whole seconds, as in files for people.
pub fn in_seconds(at: Timestamp) -> Timestamp {
    Timestamp::from_second(at.as_second()).unwrap_or(at)
}

/// Returns the seconds since 1970 at the start of ids, big-endian; times out of range are 0 or `0xffff_ffff`.
pub fn id_seconds(at: Timestamp) -> [u8; 4] {
    let seconds = at.as_millisecond().div_euclid(1_000).max(0);
    u32::try_from(seconds).unwrap_or(u32::MAX).to_be_bytes()
}

/// Returns the start of the minute in which a time lies, in UTC.
pub fn minute_of(at: Timestamp) -> Timestamp {
    start_of(at, Unit::Minute, 1)
}

/// Returns the start of the hour in which a time lies, in UTC.
pub fn hour_of(at: Timestamp) -> Timestamp {
    start_of(at, Unit::Hour, 1)
}

/// Returns the start of the day in which a time lies, in UTC.
pub fn day_of(at: Timestamp) -> Timestamp {
    start_of(at, Unit::Hour, 24)
}

fn start_of(at: Timestamp, unit: Unit, increment: i64) -> Timestamp {
    let down = TimestampRound::new().smallest(unit).increment(increment).mode(RoundMode::Floor);
    at.round(down).unwrap_or(Timestamp::MIN)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn a_minute_an_hour_and_a_day_begin_where_the_clock_says() {
        for (time, minute, hour, day) in [
            ("2026-11-23T12:00:00Z", "2026-11-23T12:00:00Z", "2026-11-23T12:00:00Z", "2026-11-23T00:00:00Z"),
            ("2026-11-23T12:59:59.999Z", "2026-11-23T12:59:00Z", "2026-11-23T12:00:00Z", "2026-11-23T00:00:00Z"),
            ("1969-12-31T23:30:00Z", "1969-12-31T23:30:00Z", "1969-12-31T23:00:00Z", "1969-12-31T00:00:00Z"),
            ("1969-12-31T23:59:59.5Z", "1969-12-31T23:59:00Z", "1969-12-31T23:00:00Z", "1969-12-31T00:00:00Z"),
        ] {
            let (time, starts) = (at(time), [minute, hour, day].map(at));
            assert_eq!([minute_of(time), hour_of(time), day_of(time)], starts);
        }
        assert!([minute_of, hour_of, day_of].map(|of| of(Timestamp::MIN)).iter().all(|start| *start == Timestamp::MIN));
    }

    #[test]
    fn a_time_leaves_with_three_digits_and_is_read_with_any_offset() {
        assert_eq!(rfc3339(at("2026-11-23T12:00:00Z")), "2026-11-23T12:00:00.000Z");
        let utc = at("2026-11-23T08:57:43.469Z");
        for text in ["2026-11-23T14:27:43.469+05:30", "2026-11-23 08:57:43.4699z", "1795424263469"] {
            assert_eq!(parse_time(text), Some(utc), "{text}");
        }
        for text in ["", "now", "2026-11-23", "2026-11-23T08:57:43", "20261123T085743Z", "2026-11-23T08:57:43Z[UTC]"] {
            assert_eq!(parse_time(text), None, "{text}");
        }
        assert_eq!(parse_rfc3339("1795424263469"), None);
    }

    #[test]
    fn ids_begin_with_seconds_and_clamp_what_lies_outside() {
        assert_eq!(id_seconds(at("1970-01-01T00:01:00.999Z")), [0, 0, 0, 60]);
        assert_eq!([Timestamp::MIN, Timestamp::MAX].map(id_seconds), [[0; 4], [0xff; 4]]);
    }
}
