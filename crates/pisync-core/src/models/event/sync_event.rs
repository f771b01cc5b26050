//! A sync event, parsed once at the edge; its content is always valid.

use jiff::Timestamp;

use super::{json::without_mark, report_body::ReportBody};
use crate::models::{Details, DeviceId, DeviceTime, EventId, Ignored, InvalidEvent};

/// One sync attempt, as a device reported it.
#[derive(Debug, Clone, PartialEq)]
pub struct SyncEvent {
    /// The reporting device.
    pub device_id: DeviceId,
    /// Time of the sync, and the device's own time.
    pub time: DeviceTime,
    /// Files synced, 0 to 2³¹−1.
    pub total_files_synced: i32,
    /// Errors of the sync, 0 to 2³¹−1; over 0 the sync failed.
    pub total_errors: i32,
    /// Speed of the connection in Mbps, 0 to 1,000,000.
    pub internet_speed: f64,
    /// The optional members.
    pub details: Details,
    /// Time of receipt of the report, by the server's clock.
    pub received_at: Timestamp,
}

/// A parsed report.
#[derive(Debug, Clone, PartialEq)]
pub struct Report {
    /// Its event.
    pub event: SyncEvent,
    /// The parts that were left out.
    pub ignored: Vec<Ignored>,
}

impl Report {
    /// Parses a device's JSON object (see [`ReportBody`]). Unknown members are ignored, and so is a byte order mark
    /// before it.
    ///
    /// `sent_at` is the device's clock while it sent, if it sent that. Fails with every invalid member, not only with
    /// the first. An invalid optional member is left out and is never an error, also if it is no JSON or no UTF-8.
    pub fn from_json(json: &[u8], received_at: Timestamp, sent_at: Option<Timestamp>) -> Result<Self, InvalidEvent> {
        let body = ReportBody::from_json(without_mark(json))?;
        let substance = body.substance()?;
        let (details, ignored) = body.details();
        let event = SyncEvent {
            device_id: substance.device_id,
            time: DeviceTime::judge(substance.timestamp, received_at, sent_at),
            total_files_synced: substance.total_files_synced,
            total_errors: substance.total_errors,
            internet_speed: substance.internet_speed,
            details,
            received_at,
        };
        Ok(Self { event, ignored })
    }
}

impl SyncEvent {
    /// Returns the event of a report (see [`Report::from_json`]), without the list of left-out parts.
    pub fn from_json(json: &[u8], received_at: Timestamp) -> Result<Self, InvalidEvent> {
        Report::from_json(json, received_at, None).map(|report| report.event)
    }

    /// Returns the id of this event's row, derived from the reported values.
    pub fn id(&self) -> EventId {
        let (files, errors) = (self.total_files_synced.into(), self.total_errors.into());
        let identity = self.details.identity(files, errors, self.internet_speed);
        EventId::derive(&self.device_id, self.device_time(), &identity)
    }

    /// Returns the time of the sync, by the device's own clock.
    pub fn device_time(&self) -> Timestamp {
        self.time.device_timestamp.unwrap_or(self.time.timestamp)
    }

    /// Returns whether the sync failed: it did if there were errors, with any number of files synced.
    pub fn failed(&self) -> bool {
        self.total_errors > 0
    }

    /// Returns whether the report can be a repeat of an earlier one. A report id makes it distinct, and the same time
    /// of a trusted clock is the same report.
    pub fn may_repeat(&self) -> bool {
        self.time.device_timestamp.is_some() && self.details.report_id.is_none()
    }
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;

    use super::*;
    use crate::models::FieldError;

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
        assert!(plain.details.labels.is_empty());
        for none in [r#","labels":null"#, r#","labels":{}"#] {
            assert_eq!(body(none).unwrap(), plain);
        }
        let labelled = body(r#","labels":{"region":"nord"}"#).unwrap();
        assert_eq!((labelled.details.labels.get("region"), labelled.id()), (Some("nord"), plain.id()));
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
        assert_eq!((event.details.report_id.unwrap().as_str(), event.details.error.unwrap().code()), ("1", "E"));
        assert_eq!(named, ["/reportId", "/error"]);
    }

    /// Returns a report with these bytes in the place of a member's value.
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
            (event.details.error.unwrap().message().unwrap_or_default().to_owned(), pointers)
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
        let labels = bytes("labels", b"{\"a\":\"K\xf6ln\",\"b\":\"\tnord\n\",\"c\":7}").unwrap().event.details.labels;
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
