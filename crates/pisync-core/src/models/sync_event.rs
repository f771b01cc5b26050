//! One report of one device, parsed once at the edge; what lies inside cannot be invalid.

use std::{borrow::Cow, fmt};

use jiff::Timestamp;
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::value::RawValue;

use super::{DeviceId, DeviceTime, EventId, Labels};

/// One sync attempt as a device reported it.
#[derive(Debug, Clone, PartialEq)]
pub struct SyncEvent {
    /// Who reported.
    pub device_id: DeviceId,
    /// When the sync happened and what the device's clock said.
    pub time: DeviceTime,
    /// Files synced, 0 to 2³¹−1.
    pub total_files_synced: i32,
    /// Errors met, 0 to 2³¹−1; over 0 the sync failed.
    pub total_errors: i32,
    /// Speed of the connection in Mbps, 0 to 1,000,000.
    pub internet_speed: f64,
    /// What the device says of itself beside its name; no part of what makes it the same event.
    pub labels: Labels,
    /// When the report reached us, by the server's clock.
    pub received_at: Timestamp,
}

impl SyncEvent {
    /// The highest speed that is believed, in Mbps.
    pub const MAX_SPEED: f64 = 1_000_000.0;

    /// Reads a device's JSON object: `deviceId`, `timestamp` (RFC 3339 or integer milliseconds
    /// since 1970), `totalFilesSynced`, `totalErrors`, `internetSpeed`, or the same names in
    /// `snake_case`; and `labels`, an object of strings, if it has some. Unknown members are ignored.
    ///
    /// Fails with every member that is wrong, not only with the first.
    pub fn from_json(json: &[u8], received_at: Timestamp) -> Result<Self, InvalidEvent> {
        Self::from_batch(json, received_at, None)
    }

    /// Reads a report of a batch; `sent_at` is the device's clock while it sent, where it said so.
    pub(super) fn from_batch(
        json: &[u8],
        received_at: Timestamp,
        sent_at: Option<Timestamp>,
    ) -> Result<Self, InvalidEvent> {
        let body = Body::from_json(json)?;
        let mut errors = Vec::new();
        let device_id = body.device_id.read("/deviceId", device_id, &mut errors);
        let device_timestamp = body.timestamp.read("/timestamp", timestamp, &mut errors);
        let files = body.total_files_synced.read("/totalFilesSynced", count, &mut errors);
        let total_errors = body.total_errors.read("/totalErrors", count, &mut errors);
        let speed = body.internet_speed.read("/internetSpeed", speed, &mut errors);
        let labels = body.labels.read_if_any("/labels", labels, &mut errors);
        match (device_id, device_timestamp, files, total_errors, speed, labels) {
            (Some(device_id), Some(at), Some(files), Some(total_errors), Some(speed), Some(labels)) => Ok(Self {
                device_id,
                time: DeviceTime::judge(at, received_at, sent_at),
                total_files_synced: files,
                total_errors,
                internet_speed: speed,
                labels,
                received_at,
            }),
            _ => Err(InvalidEvent { errors }),
        }
    }

    /// The id of this event's row, derived from what the device said.
    pub fn id(&self) -> EventId {
        EventId::derive(&self.device_id, self.time.device_timestamp.unwrap_or(self.time.timestamp))
    }

    /// Whether the sync failed: it did when there were errors, however many files came through.
    pub fn failed(&self) -> bool {
        self.total_errors > 0
    }
}

/// What is wrong with a body that is not a sync event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InvalidEvent {
    /// Each fault; never empty.
    pub errors: Vec<FieldError>,
}

/// One fault of one member of a body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldError {
    /// JSON pointer (RFC 6901) to the member; empty for the whole body.
    pub pointer: Cow<'static, str>,
    /// A short stable word: `malformed`, `missing`, `invalid`.
    pub code: &'static str,
    /// What is expected, for people.
    pub detail: String,
}

impl InvalidEvent {
    fn malformed(detail: String) -> Self {
        Self { errors: vec![FieldError { pointer: "".into(), code: "malformed", detail }] }
    }
}

impl fmt::Display for InvalidEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, FieldError { pointer, detail, .. }) in self.errors.iter().enumerate() {
            let separator = if i == 0 { "" } else { "; " };
            let space = if pointer.is_empty() { "" } else { " " };
            write!(f, "{separator}{}{space}{detail}", pointer.trim_start_matches('/'))?;
        }
        Ok(())
    }
}

impl std::error::Error for InvalidEvent {}

/// The members as they stand in the body, not yet looked at.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", expecting = "a JSON object")]
struct Body<'a> {
    #[serde(borrow, default, alias = "device_id")]
    device_id: Member<'a>,
    #[serde(borrow, default)]
    timestamp: Member<'a>,
    #[serde(borrow, default, alias = "total_files_synced")]
    total_files_synced: Member<'a>,
    #[serde(borrow, default, alias = "total_errors")]
    total_errors: Member<'a>,
    #[serde(borrow, default, alias = "internet_speed")]
    internet_speed: Member<'a>,
    #[serde(borrow, default)]
    labels: Member<'a>,
}

impl<'a> Body<'a> {
    fn from_json(json: &'a [u8]) -> Result<Self, InvalidEvent> {
        if json.trim_ascii_start().starts_with(b"[") {
            // The derived reader would take an array for the members in their order.
            return Err(InvalidEvent::malformed("expected a JSON object, not an array".into()));
        }
        serde_json::from_slice(json).map_err(|error| {
            let expected = if error.is_data() { "expected a JSON object with each member once" } else { "not JSON" };
            InvalidEvent::malformed(format!("{expected}: {error}"))
        })
    }
}

/// One member: its JSON, or nothing where it is missing.
#[derive(Default)]
struct Member<'a>(Option<&'a RawValue>);

impl<'de: 'a, 'a> Deserialize<'de> for Member<'a> {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        <&RawValue>::deserialize(deserializer).map(|raw| Self(Some(raw)))
    }
}

impl<'a> Member<'a> {
    /// Reads the member, or notes under `pointer` why it cannot be read.
    fn read<T>(
        &self,
        pointer: &'static str,
        parse: impl FnOnce(&'a str) -> Result<T, Cow<'static, str>>,
        errors: &mut Vec<FieldError>,
    ) -> Option<T> {
        let (code, detail) = match self.0.map(|raw| parse(raw.get())) {
            Some(Ok(value)) => return Some(value),
            Some(Err(detail)) => ("invalid", detail),
            None => ("missing", "is required".into()),
        };
        errors.push(FieldError { pointer: pointer.into(), code, detail: detail.into_owned() });
        None
    }

    /// The same of a member that may be missing or null.
    fn read_if_any<T: Default>(
        &self,
        pointer: &'static str,
        parse: impl FnOnce(&'a str) -> Result<T, Cow<'static, str>>,
        errors: &mut Vec<FieldError>,
    ) -> Option<T> {
        match self.0 {
            Some(raw) if raw.get() != "null" => self.read(pointer, parse, errors),
            Some(_) | None => Some(T::default()),
        }
    }
}

fn labels(json: &str) -> Result<Labels, Cow<'static, str>> {
    Labels::from_json(json).map_err(|error| error.to_string().into())
}

fn device_id(json: &str) -> Result<DeviceId, Cow<'static, str>> {
    let text: Cow<'_, str> = string(json).ok_or("must be a string")?;
    DeviceId::parse(&text).map_err(|error| error.to_string().into())
}

pub(super) fn timestamp(json: &str) -> Result<Timestamp, Cow<'static, str>> {
    const EXPECTED: &str = "must be RFC 3339 with an offset, or integer milliseconds since 1970";
    let parsed = match string(json) {
        Some(text) if is_rfc3339_shaped(text.as_bytes()) => text.parse().ok(),
        Some(_) => None,
        None => integer(json).and_then(|millis| Timestamp::from_millisecond(millis).ok()),
    };
    let timestamp: Timestamp = parsed.ok_or(EXPECTED)?;
    Timestamp::from_millisecond(timestamp.as_millisecond()).map_err(|_| EXPECTED.into())
}

fn count(json: &str) -> Result<i32, Cow<'static, str>> {
    let value = integer(json).and_then(|value| i32::try_from(value).ok());
    value.filter(|&value| value >= 0).ok_or("must be an integer from 0 to 2147483647".into())
}

fn speed(json: &str) -> Result<f64, Cow<'static, str>> {
    let value: Option<f64> = number(json);
    value
        .filter(|value| (0.0..=SyncEvent::MAX_SPEED).contains(value))
        .ok_or("must be a number from 0 to 1000000".into())
}

/// A time as people write it: RFC 3339 with an offset, or integer milliseconds since 1970.
pub fn parse_time(text: &str) -> Option<Timestamp> {
    let parsed: Option<Timestamp> = match text.parse() {
        Ok(millis) => Timestamp::from_millisecond(millis).ok(),
        Err(_) if is_rfc3339_shaped(text.as_bytes()) => text.parse().ok(),
        Err(_) => None,
    };
    Timestamp::from_millisecond(parsed?.as_millisecond()).ok()
}

/// The ISO 8601 forms that RFC 3339 leaves out (basic format, bracketed zones) are refused.
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

fn string(json: &str) -> Option<Cow<'_, str>> {
    let text: Text<'_> = serde_json::from_str(json).ok()?;
    Some(text.0)
}

/// A string that is borrowed from the JSON where it has no escapes.
#[derive(Deserialize)]
#[serde(transparent)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

/// A whole number, also where it is written `8.0` or `1e3`.
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

#[cfg(test)]
mod tests {
    use super::*;

    const RECEIVED: &str = "2026-11-23T12:00:00Z";

    fn parse(json: &str) -> Result<SyncEvent, InvalidEvent> {
        SyncEvent::from_json(json.as_bytes(), RECEIVED.parse().unwrap())
    }

    fn with(member: &str, value: &str) -> Result<SyncEvent, InvalidEvent> {
        let mut members = [
            ("deviceId", r#""pibook-1""#),
            ("timestamp", r#""2026-11-23T08:57:43.469Z""#),
            ("totalFilesSynced", "8"),
            ("totalErrors", "5"),
            ("internetSpeed", "97.54086055640643"),
        ];
        members.iter_mut().find(|(name, _)| *name == member).unwrap().1 = value;
        parse(&format!("{{{}}}", members.map(|(name, value)| format!(r#""{name}":{value}"#)).join(",")))
    }

    fn refused(member: &str, value: &str) {
        let error = with(member, value).expect_err(value);
        assert_eq!(error.errors.len(), 1, "{value}: {error}");
        assert_eq!(error.errors[0].pointer, format!("/{member}"), "{value}: {error}");
    }

    #[test]
    fn a_body_of_the_original_client_is_read_exactly() {
        let event = with("totalErrors", "5").unwrap();
        assert_eq!(event.device_id.as_str(), "pibook-1");
        assert_eq!(event.time.timestamp.to_string(), "2026-11-23T08:57:43.469Z");
        assert_eq!((event.total_files_synced, event.total_errors), (8, 5));
        assert_eq!(event.internet_speed.to_bits(), 97.540_860_556_406_43_f64.to_bits());
        assert!(event.failed());
    }

    #[test]
    fn snake_case_milliseconds_and_unknown_members_are_read() {
        let event = parse(
            r#"{"device_id":"a","timestamp":1763888263469,"total_files_synced":0,"total_errors":0,
                "internet_speed":0,"battery":{"level":[1]}}"#,
        )
        .unwrap();
        assert_eq!(event.time.timestamp.as_millisecond(), 1_763_888_263_469);
        assert!(!event.failed());
    }

    #[test]
    fn the_same_moment_in_any_offset_is_the_same_event() {
        let utc = with("timestamp", r#""2026-11-23T08:57:43.469Z""#).unwrap();
        let kolkata = with("timestamp", r#""2026-11-23T14:27:43.469123+05:30""#).unwrap();
        assert_eq!(utc.id(), kolkata.id());
    }

    #[test]
    fn an_implausible_clock_keeps_its_identity() {
        let json = r#"{"deviceId":"a","timestamp":0,"totalFilesSynced":0,"totalErrors":0,"internetSpeed":0}"#;
        let first = parse(json).unwrap();
        let resent = SyncEvent::from_json(json.as_bytes(), "2026-11-24T12:00:00Z".parse().unwrap()).unwrap();
        assert_ne!(first.time.timestamp, resent.time.timestamp);
        assert_eq!(first.id(), resent.id());
    }

    #[test]
    fn wrong_members_are_named() {
        for value in ["7", "null", "true", r#""""#, r#""\ud800""#, r#""a\u0000""#, r#"{"$where":"1"}"#, r#"["a"]"#] {
            refused("deviceId", value);
        }
        for value in [
            r#""yesterday""#,
            r#""2026-11-23""#,
            r#""2026-11-23T08:57:43""#,
            r#""2026-11-23T08:57:43+99:99""#,
            r#""2026-13-01T00:00:00Z""#,
            r#""20261123T085743Z""#,
            r#""10000-01-01T00:00:00Z""#,
            "1.5",
            "1e300",
            "true",
            r#""2026-11-23T08:57:43Z[UTC]""#,
            r#""1763888263469""#,
        ] {
            refused("timestamp", value);
        }
        for value in ["-1", "0.5", "2147483648", "9007199254740992", "1e999", "true", r#""8""#, "null", "[]"] {
            refused("totalFilesSynced", value);
            refused("totalErrors", value);
        }
        for value in ["-0.1", "1000000.1", "1e999", "true", r#""fast""#, "null"] {
            refused("internetSpeed", value);
        }
    }

    #[test]
    fn labels_are_read_where_there_are_some_and_are_no_part_of_what_makes_the_event() {
        let body = |labels: &str| {
            parse(&format!(
                r#"{{"deviceId":"a","timestamp":0,"totalFilesSynced":0,"totalErrors":0,"internetSpeed":0{labels}}}"#
            ))
        };
        let plain = body("").unwrap();
        assert!(plain.labels.is_empty());
        for none in [r#","labels":null"#, r#","labels":{}"#] {
            assert_eq!(body(none).unwrap(), plain);
        }
        let labelled = body(r#","labels":{"region":"nord"}"#).unwrap();
        assert_eq!((labelled.labels.get("region"), labelled.id()), (Some("nord"), plain.id()));
        for wrong in [r#""nord""#, r#"{"region":7}"#, r#"{"deviceId":"b"}"#, r#"{"a b":"c"}"#, "[]"] {
            let error = body(&format!(r#","labels":{wrong}"#)).expect_err(wrong);
            let faults: Vec<_> = error.errors.iter().map(|fault| (&*fault.pointer, fault.code)).collect();
            assert_eq!(faults, [("/labels", "invalid")], "{wrong}");
        }
    }

    #[test]
    fn whole_numbers_may_be_written_with_a_fraction_of_zero() {
        assert_eq!(with("totalErrors", "2.0").unwrap().total_errors, 2);
        assert_eq!(with("timestamp", "1.763888263469e12").unwrap().time.timestamp.as_millisecond(), 1_763_888_263_469);
    }

    #[test]
    fn every_missing_member_is_named_at_once() {
        let error = parse("{}").unwrap_err();
        let pointers: Vec<_> = error.errors.iter().map(|error| &*error.pointer).collect();
        assert_eq!(pointers, ["/deviceId", "/timestamp", "/totalFilesSynced", "/totalErrors", "/internetSpeed"]);
        assert!(error.errors.iter().all(|error| error.code == "missing"));
        assert_eq!(error.errors[0].detail, "is required");
    }

    #[test]
    fn what_is_not_one_object_with_each_member_once_is_malformed() {
        let deep = "[".repeat(10_000);
        for json in [
            "",
            "{",
            "[]",
            "null",
            "7",
            r#"{"deviceId":"a","#,
            r#"{"deviceId":"a","deviceId":"b"}"#,
            r#"{"deviceId":"a","device_id":"b"}"#,
            "{} {}",
            r#"{"internetSpeed":NaN}"#,
            deep.as_str(),
        ] {
            assert_eq!(parse(json).expect_err(json).errors[0].code, "malformed", "{json}");
        }
        let invalid_utf8 = SyncEvent::from_json(b"{\"deviceId\":\"\xff\"}", RECEIVED.parse().unwrap());
        assert_eq!(invalid_utf8.unwrap_err().errors[0].code, "malformed");
    }
}
