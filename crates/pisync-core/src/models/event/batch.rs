//! Many reports in one body: a JSON array, an object with `events`, or one report in each line.

use jiff::Timestamp;

use super::{
    json::without_mark,
    splitter::{Broken, SentAt, split_batch},
};
use crate::models::{FieldError, Ignored, InvalidEvent, Report};

/// The most events of one batch.
pub const MAX_EVENTS: usize = 1_000;

/// The code of a report that was not read: the device should send it again, unlike a malformed one.
const UNREAD: &str = "unread";

/// The reports of a batch in their order, each read independently: a bad one never fails a good one.
#[derive(Debug, Clone, PartialEq)]
pub struct ReportBatch {
    /// Each report, or its faults.
    pub reports: Vec<Result<Report, InvalidEvent>>,
    /// JSON pointer to the list of reports: empty, or `/events`.
    pub pointer: &'static str,
    /// A part of the batch itself that was left out: a `sentAt` that is no time.
    pub ignored: Option<Ignored>,
}

/// The reason that a body is no batch.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidBatch {
    /// It cannot be read as a batch.
    #[error(transparent)]
    Malformed(#[from] InvalidEvent),
    /// It holds more than [`MAX_EVENTS`].
    #[error("a batch has up to {MAX_EVENTS} events")]
    TooMany,
}

impl ReportBatch {
    /// Reads a JSON array of reports (see [`Report::from_json`]), or `{"sentAt","events":[…]}`, with the device's clock
    /// while it sends. A `sentAt` that is no time is left out.
    ///
    /// Fails if there are no reports, or more than [`MAX_EVENTS`].
    pub fn from_json(json: &[u8], received_at: Timestamp) -> Result<Self, InvalidBatch> {
        let split = split_batch(json, MAX_EVENTS).map_err(malformed)?;
        let (sent_at, ignored) = match split.sent_at.map(sent_at) {
            Some(Err(ignored)) => (None, Some(ignored)),
            Some(Ok(sent_at)) => (sent_at, None),
            None => (None, None),
        };
        let mut batch = Self::of(split.pointer, split.items, sent_at, received_at)?;
        if let (Some(open), Some(Err(invalid))) = (split.open, batch.reports.last_mut()) {
            if let Some(first) = invalid.errors.first_mut() {
                first.detail = format!(
                    "{}. Its quotes and brackets do not end; it begins at byte {} of the body",
                    first.detail, open.place
                );
            }
            // Guessing their starts could turn a text into a report; not naming them would lose them.
            let further = open.further.min(MAX_EVENTS - batch.reports.len());
            batch.reports.extend((0..further).map(|_| Err(unread(open.place))));
        }
        Ok(Self { ignored, ..batch })
    }

    /// Reads a body of one report, with any line ends in its texts.
    pub fn of_one(json: &[u8], received_at: Timestamp) -> Self {
        let reports = vec![Report::from_json(json, received_at, None)];
        Self { reports, pointer: "", ignored: None }
    }

    /// Reads one report in each line that is not blank.
    ///
    /// Fails if there is none, or more than [`MAX_EVENTS`].
    pub fn from_lines(lines: &[u8], received_at: Timestamp) -> Result<Self, InvalidBatch> {
        let lines = lines.split(|byte| *byte == b'\n').map(|line| without_mark(line).trim_ascii());
        let lines = lines.filter(|line| !line.is_empty());
        Self::of("", lines.take(MAX_EVENTS + 1).collect(), None, received_at)
    }

    fn of(
        pointer: &'static str,
        reports: Vec<&[u8]>,
        sent_at: Option<Timestamp>,
        received_at: Timestamp,
    ) -> Result<Self, InvalidBatch> {
        if reports.len() > MAX_EVENTS {
            return Err(InvalidBatch::TooMany);
        }
        if reports.is_empty() {
            return Err(fault(pointer, "missing", "holds no events".into()).into());
        }
        let read = |json| Report::from_json(json, received_at, sent_at);
        Ok(Self { reports: reports.into_iter().map(read).collect(), pointer, ignored: None })
    }

    /// Returns whether some reports were not read that may be good.
    pub fn has_unread(&self) -> bool {
        let is_unread = |invalid: &InvalidEvent| invalid.errors.iter().any(|error| error.code == UNREAD);
        self.reports.iter().any(|report| report.as_ref().is_err_and(is_unread))
    }

    /// Returns all faults of all reports, with pointers from the top of the body.
    pub fn faults(self) -> InvalidEvent {
        let pointer = self.pointer;
        let of_report = |(index, report): (usize, Result<_, InvalidEvent>)| {
            let faults = report.err().map(|invalid| invalid.errors).unwrap_or_default();
            faults
                .into_iter()
                .map(move |fault| FieldError { pointer: format!("{pointer}/{index}{}", fault.pointer).into(), ..fault })
        };
        InvalidEvent { errors: self.reports.into_iter().enumerate().flat_map(of_report).collect() }
    }
}

/// Returns the device's clock while it sent; null counts as absent.
fn sent_at(sent_at: SentAt<'_>) -> Result<Option<Timestamp>, Ignored> {
    let ignored = |detail| Ignored { pointer: "/sentAt".into(), detail };
    let SentAt::Once(raw) = sent_at else { return Err(ignored("is there more than once".into())) };
    match std::str::from_utf8(raw).unwrap_or_default() {
        "null" => Ok(None),
        raw => super::report_body::timestamp(raw).map(Some).map_err(ignored),
    }
}

/// Returns the fault of a report after one that does not end.
fn unread(place: usize) -> InvalidEvent {
    let detail = format!("was not read, since the report at byte {place} of the body does not end: send it again");
    fault("", UNREAD, detail)
}

fn malformed(broken: Broken) -> InvalidEvent {
    fault("", "malformed", broken.to_string())
}

fn fault(pointer: &'static str, code: &'static str, detail: String) -> InvalidEvent {
    InvalidEvent { errors: vec![FieldError { pointer: pointer.into(), code, detail }] }
}

#[cfg(test)]
mod tests {
    use super::{super::SyncEvent, *};

    const RECEIVED: &str = "2026-11-23T12:00:00Z";

    fn received() -> Timestamp {
        RECEIVED.parse().unwrap()
    }

    fn report(device: &str, timestamp: &str) -> String {
        format!(
            r#"{{"deviceId":"{device}","timestamp":"{timestamp}","totalFilesSynced":1,"totalErrors":0,"internetSpeed":1}}"#
        )
    }

    fn devices(batch: &ReportBatch) -> Vec<Option<&str>> {
        batch.reports.iter().map(|report| report.as_ref().ok().map(|report| report.event.device_id.as_str())).collect()
    }

    #[test]
    fn all_three_forms_are_the_same_batch() {
        let (a, b) = (report("a", RECEIVED), report("b", RECEIVED));
        let bodies = [format!("[{a},{b}]"), format!(r#"{{"events":[{a},{b}]}}"#)];
        for body in bodies {
            assert_eq!(devices(&ReportBatch::from_json(body.as_bytes(), received()).unwrap()), [Some("a"), Some("b")]);
        }
        let lines = format!("\n{a}\r\n\n  {b}");
        assert_eq!(devices(&ReportBatch::from_lines(lines.as_bytes(), received()).unwrap()), [Some("a"), Some("b")]);
    }

    #[test]
    fn a_bad_report_leaves_the_good_ones_alone_and_is_named() {
        let a = report("a", RECEIVED);
        for bad in ["7", "null", "[]", "{}", r#"{"deviceId":"b"}"#, r#""text""#] {
            let batch = ReportBatch::from_json(format!(r#"{{"events":[{a},{bad}]}}"#).as_bytes(), received()).unwrap();
            assert_eq!(devices(&batch), [Some("a"), None], "{bad}");
            let faults = batch.faults().errors;
            assert!(faults.iter().all(|fault| fault.pointer.starts_with("/events/1")), "{faults:?}");
        }
        let lines = [a.as_bytes(), b"\xff", b"{\"", a.as_bytes()].join(&b'\n');
        assert_eq!(devices(&ReportBatch::from_lines(&lines, received()).unwrap()), [Some("a"), None, None, Some("a")]);
    }

    #[test]
    fn a_report_that_is_no_json_fails_alone() {
        let (a, b) = (report("a", RECEIVED), report("b", RECEIVED));
        for bad in [b.replace(":1}", ":NaN}"), b.replace("\"b\"", "\"b\tc\""), b.replace('}', ",}"), "{,}".into()] {
            for body in [format!("[{a},{bad},{a}]"), format!(r#"{{"sentAt":null,"events":[{a},{bad},{a}]}}"#)] {
                let batch = ReportBatch::from_json(body.as_bytes(), received()).unwrap();
                assert_eq!(devices(&batch), [Some("a"), None, Some("a")], "{body}");
                assert_eq!(batch.faults().errors[0].code, "malformed", "{body}");
            }
        }
        let latin = [b"[", a.as_bytes(), b",{\"deviceId\":\"\xe9\"},", a.as_bytes(), b"]"].concat();
        assert_eq!(devices(&ReportBatch::from_json(&latin, received()).unwrap()), [Some("a"), None, Some("a")]);
        let marked = format!("\u{feff}{a}\n\u{feff}{b}");
        assert_eq!(devices(&ReportBatch::from_lines(marked.as_bytes(), received()).unwrap()), [Some("a"), Some("b")]);
    }

    #[test]
    fn reports_between_broken_ones_are_read_and_where_that_ends_is_said() {
        let (a, b) = (report("a", RECEIVED), report("b", RECEIVED));
        let open = b.replace("\"totalErrors\"", "\"totalErrors");
        let text = b.replace('}', r#","error":{"message":"C:\"}}"#);
        for broken in [&open, &text] {
            let body = format!("[{a},{broken},{a},{broken},{b}]");
            let batch = ReportBatch::from_json(body.as_bytes(), received()).unwrap();
            assert_eq!(devices(&batch), [Some("a"), None, Some("a"), None, Some("b")], "{body}");
        }
        let batch = ReportBatch::from_json(format!("[{a} {b}]").as_bytes(), received()).unwrap();
        assert_eq!(devices(&batch), [Some("a"), Some("b")]);
        let body = format!("[{a},{},{b}]", open.replace("\"b\"", "\"b{\""));
        let batch = ReportBatch::from_json(body.as_bytes(), received()).unwrap();
        assert_eq!((devices(&batch), batch.has_unread()), (vec![Some("a"), None, None], true));
        assert_eq!(batch.reports[2].as_ref().unwrap_err().errors[0].code, "unread");
        let said = batch.faults().to_string();
        assert!(said.contains(&format!("begins at byte {} of the body", a.len() + 2)), "{said}");
    }

    #[test]
    fn one_report_may_have_line_ends_in_its_texts() {
        let report = report("a", RECEIVED).replace('}', ",\"error\":{\"code\":\"E\",\"message\":\"1\n2\"}}");
        let is_one = |body: &str| super::super::names_of_object(body.as_bytes()).is_some();
        assert!(is_one(&report));
        let batch = ReportBatch::of_one(report.as_bytes(), received());
        assert_eq!(batch.reports[0].as_ref().unwrap().event.details.error.as_ref().unwrap().message(), Some("1 2"));
        for several in [format!("{report}\n{report}"), format!("{report}\n"), "{\"a\":\"x}\n{\"b\":\"y}".into()] {
            assert_eq!(is_one(&several), several.ends_with('\n'), "{several}");
        }
    }

    #[test]
    fn a_clock_of_the_sender_that_is_no_time_is_left_out() {
        let plain = ReportBatch::from_json(format!("[{}]", report("a", RECEIVED)).as_bytes(), received()).unwrap();
        for wrong in ["\"now\"", "NaN", "{}", "1.5", "\"\t\"", ""] {
            let body = format!(r#"{{"sentAt":{wrong},"events":[{}]}}"#, report("a", RECEIVED));
            let batch = ReportBatch::from_json(body.as_bytes(), received()).unwrap();
            assert_eq!(batch.reports, plain.reports, "{wrong}");
            assert_eq!(batch.ignored.unwrap().pointer, "/sentAt", "{wrong}");
        }
        let body = format!(r#"{{"sentAt":null,"events":[{}]}}"#, report("a", RECEIVED));
        assert_eq!(ReportBatch::from_json(body.as_bytes(), received()).unwrap().ignored, None);
    }

    #[test]
    fn what_holds_no_events_or_too_many_is_no_batch() {
        for body in
            ["", "{", "7", "null", "[]", r#"{"events":[]}"#, r#"{"events":7}"#, "{}", r#"{"events":[],"events":[]}"#]
        {
            assert!(
                matches!(ReportBatch::from_json(body.as_bytes(), received()), Err(InvalidBatch::Malformed(_))),
                "{body}"
            );
        }
        let many = vec!["{}"; MAX_EVENTS + 1];
        let (array, lines) = (format!("[{}]", many.join(",")), many.join("\n"));
        assert_eq!(ReportBatch::from_json(array.as_bytes(), received()), Err(InvalidBatch::TooMany));
        assert_eq!(ReportBatch::from_lines(lines.as_bytes(), received()), Err(InvalidBatch::TooMany));
        assert!(matches!(ReportBatch::from_lines(b"\n \n", received()), Err(InvalidBatch::Malformed(_))));
    }

    #[test]
    fn a_clock_that_is_off_by_its_own_word_is_set_right_and_identity_is_kept() {
        let read = |sent_at: &str, timestamp: &str| {
            let body = format!(r#"{{"sentAt":"{sent_at}","events":[{}]}}"#, report("a", timestamp));
            ReportBatch::from_json(body.as_bytes(), received()).unwrap().reports.remove(0).unwrap().event
        };
        // Two hours ahead: the sync was an hour before it was sent.
        let ahead = read("2026-11-23T14:00:00Z", "2026-11-23T13:00:00Z");
        assert_eq!(ahead.time.timestamp.to_string(), "2026-11-23T11:00:00Z");
        assert_eq!(ahead.time.device_timestamp.unwrap().to_string(), "2026-11-23T13:00:00Z");
        let plain = SyncEvent::from_json(report("a", "2026-11-23T13:00:00Z").as_bytes(), received()).unwrap();
        assert_eq!(ahead.id(), plain.id());
        // A clock that starts in 1970 at each boot still shows how long ago the sync was.
        let reset = read("1970-01-01T03:00:00Z", "1970-01-01T01:00:00Z");
        assert_eq!(reset.time.timestamp.to_string(), "2026-11-23T10:00:00Z");
        // Within two minutes, the delay is that of the network.
        let slow = read("2026-11-23T11:58:00Z", "2026-11-23T11:00:00Z");
        assert_eq!(
            (slow.time.timestamp.to_string().as_str(), slow.time.device_timestamp),
            ("2026-11-23T11:00:00Z", None)
        );
        // A time that is out of range after that also becomes the time of receipt.
        let beyond = read("2026-11-23T14:00:00Z", "1970-01-01T00:00:00Z");
        assert_eq!(beyond.time.timestamp.to_string(), RECEIVED);
    }
}
