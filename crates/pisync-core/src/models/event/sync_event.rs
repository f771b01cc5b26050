//! One report of one device, parsed once at the edge; what lies inside cannot be invalid.

use std::{borrow::Cow, fmt};

use jiff::Timestamp;
use serde::{
    Deserialize, Deserializer,
    de::{DeserializeOwned, IgnoredAny, MapAccess, Visitor},
};
use serde_json::value::RawValue;

use super::{
    decoration::{self, LeftOut},
    json::{Raw, Text, broken_members, string, without_mark},
};
use crate::{
    models::{DeviceId, DeviceTime, EventId, Identity, Ignored, Labels, ReportError, ReportId},
    time::parse_rfc3339,
};

/// The code of what is no JSON.
const MALFORMED: &str = "malformed";

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
    /// The name that the device gave the report, if it did.
    pub report_id: Option<ReportId>,
    /// What went wrong, if the device said so.
    pub error: Option<ReportError>,
    /// What the device says of itself beside its name; no part of what makes it the same event.
    pub labels: Labels,
    /// When the report reached us, by the server's clock.
    pub received_at: Timestamp,
}

/// A report that was read.
#[derive(Debug, Clone, PartialEq)]
pub struct Report {
    /// What it says.
    pub event: SyncEvent,
    /// What was left out of it.
    pub ignored: Vec<Ignored>,
}

impl Report {
    /// Reads a device's JSON object: `deviceId`, `timestamp` (RFC 3339 or integer milliseconds
    /// since 1970), `totalFilesSynced`, `totalErrors`, `internetSpeed`, or the same names in
    /// `snake_case`; and, if it has them, `reportId`, `error` and `labels`. Unknown members are
    /// ignored, and a byte order mark before it.
    ///
    /// `sent_at` is the device's clock while it sent, if it said so. Fails with every member that
    /// is wrong, not only with the first. What cannot be kept of `reportId`, `error` and `labels`
    /// is left out, and never an error, also if it is no JSON or no UTF-8.
    pub fn from_json(json: &[u8], received_at: Timestamp, sent_at: Option<Timestamp>) -> Result<Self, InvalidEvent> {
        let body = Body::from_json(without_mark(json))?;
        let mut errors = Vec::new();
        let device_id = body.device_id.read("/deviceId", device_id, &mut errors);
        let device_timestamp = body.timestamp.read("/timestamp", timestamp, &mut errors);
        let files = body.total_files_synced.read("/totalFilesSynced", count, &mut errors);
        let total_errors = body.total_errors.read("/totalErrors", count, &mut errors);
        let speed = body.internet_speed.read("/internetSpeed", speed, &mut errors);
        let (Some(device_id), Some(at), Some(files), Some(total_errors), Some(speed)) =
            (device_id, device_timestamp, files, total_errors, speed)
        else {
            // What is no JSON comes first: it is the cause where another member is missing.
            errors.sort_by_key(|error: &FieldError| error.code != MALFORMED);
            return Err(InvalidEvent { errors });
        };
        let mut left_out = body.left_out;
        let event = SyncEvent {
            device_id,
            time: DeviceTime::judge(at, received_at, sent_at),
            total_files_synced: files,
            total_errors,
            internet_speed: speed,
            report_id: body.report_id.decoration().and_then(|raw| decoration::report_id(raw, &mut left_out)),
            error: body.error.decoration().and_then(|raw| decoration::error(raw, &mut left_out)),
            labels: body.labels.decoration().map(|raw| Labels::of_report(raw, &mut left_out)).unwrap_or_default(),
            received_at,
        };
        Ok(Self { event, ignored: left_out.into_ignored() })
    }
}

impl SyncEvent {
    /// The highest speed that is believed, in Mbps.
    pub const MAX_SPEED: f64 = 1_000_000.0;

    /// Returns the event of a report (see [`Report::from_json`]), without what was left out of it.
    pub fn from_json(json: &[u8], received_at: Timestamp) -> Result<Self, InvalidEvent> {
        Report::from_json(json, received_at, None).map(|report| report.event)
    }

    /// The id of this event's row, derived from what the device said.
    pub fn id(&self) -> EventId {
        EventId::derive(&self.device_id, self.device_time(), &self.identity())
    }

    /// When the sync happened, by the device's own clock.
    pub fn device_time(&self) -> Timestamp {
        self.time.device_timestamp.unwrap_or(self.time.timestamp)
    }

    fn identity(&self) -> Identity<'_> {
        match &self.report_id {
            Some(report_id) => Identity::ReportId(report_id.as_str()),
            None => Identity::Content {
                total_files_synced: self.total_files_synced.into(),
                total_errors: self.total_errors.into(),
                internet_speed: self.internet_speed,
                error_code: self.error.as_ref().map_or("", ReportError::code),
            },
        }
    }

    /// Whether the sync failed: it did when there were errors, however many files came through.
    pub fn failed(&self) -> bool {
        self.total_errors > 0
    }

    /// Returns whether the report can be a repeat of an earlier one: with a report id it is told apart from
    /// others, and the same time of a clock that is believed is the same report.
    pub fn may_repeat(&self) -> bool {
        self.time.device_timestamp.is_some() && self.report_id.is_none()
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
        Self { errors: vec![FieldError { pointer: "".into(), code: MALFORMED, detail }] }
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
#[derive(Default)]
struct Body<'a> {
    device_id: Member<'a>,
    timestamp: Member<'a>,
    total_files_synced: Member<'a>,
    total_errors: Member<'a>,
    internet_speed: Member<'a>,
    report_id: Member<'a>,
    error: Member<'a>,
    labels: Member<'a>,
    left_out: LeftOut,
}

impl<'a> Body<'a> {
    fn from_json(json: &'a [u8]) -> Result<Self, InvalidEvent> {
        match serde_json::from_slice(json) {
            Ok(body) => Ok(body),
            Err(error) if error.is_data() => Err(InvalidEvent::malformed("must be a JSON object".into())),
            Err(error) => Self::from_broken(json).ok_or_else(|| InvalidEvent::malformed(format!("not JSON: {error}"))),
        }
    }

    /// Reads an object that holds something broken: what cannot be read of it matters by where it stands.
    fn from_broken(json: &'a [u8]) -> Option<Self> {
        let mut body = Self::default();
        for (name, value) in broken_members(json)? {
            body.add(&name, value);
        }
        Some(body)
    }

    /// Adds a member; of one that is there already the value is dropped.
    fn add(&mut self, name: &str, value: Raw<'a>) {
        let Some((member, decoration)) = self.member(name) else { return };
        match (&member.raw, decoration) {
            (None, _) => member.raw = Some(value),
            (Some(_), None) => member.again = Some(name.into()),
            (Some(_), Some(pointer)) => self.left_out.name(pointer, "is there more than once; the first was kept"),
        }
    }

    /// Where a member goes, and its pointer if it is a decoration.
    fn member(&mut self, name: &str) -> Option<(&mut Member<'a>, Option<&'static str>)> {
        Some(match name {
            "deviceId" | "device_id" => (&mut self.device_id, None),
            "timestamp" => (&mut self.timestamp, None),
            "totalFilesSynced" | "total_files_synced" => (&mut self.total_files_synced, None),
            "totalErrors" | "total_errors" => (&mut self.total_errors, None),
            "internetSpeed" | "internet_speed" => (&mut self.internet_speed, None),
            "reportId" | "report_id" => (&mut self.report_id, Some("/reportId")),
            "error" => (&mut self.error, Some("/error")),
            "labels" => (&mut self.labels, Some("/labels")),
            _ => return None,
        })
    }
}

impl<'de> Deserialize<'de> for Body<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Members)
    }
}

/// Reads a [`Body`]. By hand, since of two members of one name the second is an error in the
/// substance of a report and is left out of its decoration.
struct Members;

impl<'de> Visitor<'de> for Members {
    type Value = Body<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Self::Value, M::Error> {
        let mut body = Body::default();
        while let Some(Text(name)) = map.next_key()? {
            if body.member(&name).is_some() {
                let value: &RawValue = map.next_value()?;
                body.add(&name, Raw::Json(value.get()));
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(body)
    }
}

/// One member: what stands in the body, or nothing where it is missing.
#[derive(Default)]
struct Member<'a> {
    raw: Option<Raw<'a>>,
    /// The name by which it came a second time.
    again: Option<Box<str>>,
}

impl<'a> Member<'a> {
    /// Reads the member, or notes under `pointer` why it cannot be read.
    fn read<T>(
        &self,
        pointer: &'static str,
        parse: impl FnOnce(&str) -> Result<T, Cow<'static, str>>,
        errors: &mut Vec<FieldError>,
    ) -> Option<T> {
        let (code, detail) = match (&self.again, self.raw.map(Raw::exact)) {
            (Some(name), _) if pointer.get(1..) == Some(name) => (MALFORMED, "is given twice: send it once".into()),
            (Some(name), _) => (MALFORMED, format!("is given twice, also as {name}: send it once").into()),
            (None, Some(Ok(json))) => match parse(&json) {
                Ok(value) => return Some(value),
                Err(detail) if matches!(json, Cow::Borrowed(_)) => ("invalid", detail),
                Err(detail) => (MALFORMED, detail),
            },
            (None, Some(Err(detail))) => (MALFORMED, detail),
            (None, None) => ("missing", "is required".into()),
        };
        errors.push(FieldError { pointer: pointer.into(), code, detail: detail.into_owned() });
        None
    }

    /// A member that may be missing or null.
    fn decoration(&self) -> Option<Raw<'a>> {
        self.raw.filter(|raw| !matches!(raw, Raw::Json("null")))
    }
}

fn device_id(json: &str) -> Result<DeviceId, Cow<'static, str>> {
    let text: Cow<'_, str> = string(json).ok_or("must be a string")?;
    DeviceId::of_report(&text).map_err(|error| error.to_string().into())
}

pub(super) fn timestamp(json: &str) -> Result<Timestamp, Cow<'static, str>> {
    const EXPECTED: &str = "must be RFC 3339 with an offset, or integer milliseconds since 1970";
    let parsed = match string(json) {
        Some(text) => parse_rfc3339(&text),
        None => integer(json).and_then(|millis| Timestamp::from_millisecond(millis).ok()),
    };
    parsed.ok_or(EXPECTED.into())
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
    }

    fn decorated(members: &str) -> (SyncEvent, Vec<String>) {
        let json = format!(
            r#"{{"deviceId":"a","timestamp":0,"totalFilesSynced":0,"totalErrors":1,"internetSpeed":0{members}}}"#
        );
        let report = Report::from_json(json.as_bytes(), RECEIVED.parse().unwrap(), None).expect(&json);
        (report.event, report.ignored.into_iter().map(|ignored| ignored.pointer.into_owned()).collect())
    }

    #[test]
    fn what_decorates_never_refuses_a_report() {
        let (plain, _) = decorated("");
        for (members, ignored) in [
            (r#","labels":"nord""#, "/labels"),
            (r#","labels":{"a b":"c"}"#, "/labels/a b"),
            (r#","reportId":"""#, "/reportId"),
            (r#","reportId":-7"#, "/reportId"),
            (r#","report_id":["a"]"#, "/reportId"),
            (r#","error":"disk full""#, "/error"),
            (r#","error":{"code":"no spaces"}"#, "/error"),
        ] {
            let (event, named) = decorated(members);
            assert_eq!((&event, &named[..]), (&plain, &[ignored.to_owned()][..]), "{members}");
        }
        for none in [r#","reportId":null"#, r#","error":null"#, r#","labels":null"#] {
            assert_eq!(decorated(none), (plain.clone(), Vec::new()), "{none}");
        }
        let (event, named) = decorated(r#","reportId":"1","report_id":"2","error":{"code":"E"},"error":7"#);
        assert_eq!((event.report_id.unwrap().as_str(), event.error.unwrap().code()), ("1", "E"));
        assert_eq!(named, ["/reportId", "/error"]);
    }

    /// A report of these bytes, in place of what a member is there.
    fn bytes(member: &str, value: &[u8]) -> Result<Report, InvalidEvent> {
        let json = r#"{"deviceId":"a","timestamp":0,"totalFilesSynced":0,"totalErrors":1,"internetSpeed":0}"#;
        let mut json = json.as_bytes().to_vec();
        let name = format!("\"{member}\":");
        if let Some(start) = json.windows(name.len()).position(|window| window == name.as_bytes()) {
            let start = start + name.len();
            let end = start + json[start..].iter().position(|byte| b",}".contains(byte)).unwrap();
            json.splice(start..end, value.iter().copied());
        } else {
            json.pop();
            json.extend([b",", name.as_bytes(), value, b"}"].concat());
        }
        Report::from_json(&json, RECEIVED.parse().unwrap(), None)
    }

    #[test]
    fn what_decorates_refuses_no_report_though_it_is_no_json_or_no_utf_8() {
        let (plain, _) = decorated("");
        for (member, value, ignored) in [
            ("labels", &b"{\"a\":\"K\xf6ln\"}"[..], "/labels/a"),
            ("labels", b"{\"r\xe9gion\":\"nord\"}", "/labels/r\u{fffd}gion"),
            ("labels", b"{\"a\":\"x\ty\"}", "/labels/a"),
            ("labels", b"{\"a\tb\":\"x\"}", "/labels/a\u{fffd}b"),
            ("labels", b"{\"a\":NaN}", "/labels/a"),
            ("labels", b"nord", "/labels"),
            ("error", b"{\"code\":\"\xe9\"}", "/error"),
            ("error", b"{\"code\":NaN}", "/error"),
            ("error", b"'E'", "/error"),
            ("error", b"", "/error"),
            ("reportId", b"\"\xe9\"", "/reportId"),
            ("reportId", b"\"a\tb\"", "/reportId"),
            ("reportId", b"007x", "/reportId"),
        ] {
            let Report { event, ignored: named } = bytes(member, value).unwrap();
            let named: Vec<_> = named.iter().map(|one| one.pointer.as_ref()).collect();
            assert_eq!((event, named), (plain.clone(), vec![ignored]), "{member} {value:?}");
        }
        for (member, value) in [("more", &b"NaN"[..]), ("more", b"\"\xe9\t\""), ("m\u{e9}", b"[1,{\"a\":x}]")] {
            assert_eq!(bytes(member, value), Ok(Report { event: plain.clone(), ignored: Vec::new() }), "{value:?}");
        }
        let read = |value: &[u8]| {
            let Report { event, ignored } = bytes("error", value).unwrap();
            let pointers: Vec<_> = ignored.into_iter().map(|one| one.pointer).collect();
            (event.error.unwrap().message().unwrap_or_default().to_owned(), pointers)
        };
        let none = Vec::<Cow<'_, str>>::new();
        assert_eq!(
            read(b"{\"code\":\"E\",\"message\":\"line 1\r\n\tline 2\"}"),
            ("line 1 line 2".into(), none.clone())
        );
        assert_eq!(read(br#"{"code":"E","message":"C:\Users","errno":NaN}"#), (r"C:\Users".into(), none));
        let replaced = (String::from("disque d\u{fffd}connect\u{fffd}"), vec![Cow::from("/error/message")]);
        assert_eq!(read(b"{\"code\":\"E\",\"message\":\"disque d\xe9connect\xe9\"}"), replaced);
        assert_eq!(read(b"{\"code\":\"E\",\"message\":\"a\x1b[0m\"}"), (String::new(), vec!["/error/message".into()]));
        let labels = bytes("labels", b"{\"a\":\"K\xf6ln\",\"b\":\"\tnord\n\",\"c\":7}").unwrap().event.labels;
        assert_eq!(labels.iter().collect::<Vec<_>>(), [("b", "nord"), ("c", "7")]);
    }

    #[test]
    fn what_the_report_depends_on_is_refused_by_its_own_name_if_it_is_no_json_or_no_utf_8() {
        for (member, value, said) in [
            ("deviceId", &b"\"caf\xe9\""[..], "must be UTF-8, and has the byte 0xE9 in place 5"),
            ("deviceId", b"\"a\xc3\"", "must be UTF-8, and has the byte 0xC3 in place 3"),
            ("deviceId", b"\"a\tb\"", "U+0009 tab at character 2"),
            ("deviceId", br#""C:\x""#, "backslash"),
            ("timestamp", b"\"2026-11-23T08:57:43Z\xff\"", "must be UTF-8"),
            ("timestamp", b"2026-11-23T08:57:43Z", "no JSON: 2026-11-23T08"),
            ("totalErrors", b"5\xff", "no JSON: 5"),
            ("totalFilesSynced", b"", "has no value"),
            ("internetSpeed", b"NaN", "no JSON: NaN"),
        ] {
            let refused = bytes(member, value).unwrap_err();
            let [FieldError { pointer, code, detail }] = &refused.errors[..] else { panic!("{member}: {refused}") };
            let expected = if member == "timestamp" && said.contains("08") { "" } else { member };
            assert_eq!((pointer.trim_start_matches('/'), *code), (expected, "malformed"), "{value:?}: {detail}");
            assert!(detail.contains(said) || expected.is_empty(), "{value:?}: {detail}");
        }
        assert_eq!(bytes("deviceId", b"\"a\r\n\"").unwrap().event.device_id.as_str(), "a", "line ends around an id");
    }

    #[test]
    fn a_member_that_is_given_twice_is_named_with_both_names() {
        for (more, said) in [
            (r#""totalErrors":1"#, "totalErrors is given twice: send it once"),
            (r#""total_errors":2"#, "totalErrors is given twice, also as total_errors: send it once"),
            (r#""total_errors":NaN"#, "totalErrors is given twice, also as total_errors: send it once"),
        ] {
            let json = format!(
                r#"{{"deviceId":"a","timestamp":0,"totalFilesSynced":0,"totalErrors":1,"internetSpeed":0,{more}}}"#
            );
            let refused = parse(&json).unwrap_err();
            assert_eq!((refused.to_string().as_str(), refused.errors[0].code), (said, "malformed"));
            assert_eq!(refused.errors[0].pointer, "/totalErrors");
        }
    }

    #[test]
    fn a_report_id_or_else_the_content_makes_the_event() {
        let id = |members: &str| decorated(members).0.id();
        assert_eq!(id(r#","reportId":"1""#), id(r#","report_id":"1","labels":{"a":"b"},"error":{"code":"E"}"#));
        assert_ne!(id(r#","reportId":"1""#), id(r#","reportId":"2""#));
        assert_ne!(id(r#","reportId":"1""#), id(""));
        assert_ne!(id(r#","error":{"code":"E"}"#), id(r#","error":{"code":"F"}"#));
        assert_eq!(id(r#","error":{"code":"E","message":"a"}"#), id(r#","error":{"code":"E"}"#));
        assert_eq!(id(r#","error":{"code":"a b"}"#), id(""), "what was left out is no part of it");
        assert_ne!(with("totalErrors", "1").unwrap().id(), with("totalErrors", "2").unwrap().id());
        assert_ne!(with("totalFilesSynced", "1").unwrap().id(), with("totalFilesSynced", "2").unwrap().id());
        assert_ne!(with("internetSpeed", "1").unwrap().id(), with("internetSpeed", "2").unwrap().id());
        assert_eq!(with("internetSpeed", "-0.0").unwrap().id(), with("internetSpeed", "0").unwrap().id());
    }

    #[test]
    fn ids_that_look_the_same_are_the_same_and_a_byte_order_mark_is_none_of_the_body() {
        let plain = with("deviceId", r#""école""#).unwrap();
        assert_eq!(with("deviceId", "\" e\u{301}cole\\r\\n\"").unwrap(), plain);
        let marked =
            "\u{feff}{\"deviceId\":\"a\",\"timestamp\":0,\"totalFilesSynced\":0,\"totalErrors\":0,\"internetSpeed\":0}";
        assert!(parse(marked).is_ok());
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
