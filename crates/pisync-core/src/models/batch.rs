//! Many reports in one body: a JSON array, an object with `events`, or one report in each line.

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::{FieldError, InvalidEvent, SyncEvent};

/// The most events of one batch.
pub const MAX_EVENTS: usize = 1_000;

/// The reports of a batch in their order, each read by itself: a bad one never fails a good one.
#[derive(Debug, Clone, PartialEq)]
pub struct Batch {
    /// What each report is, or what is wrong with it.
    pub reports: Vec<Result<SyncEvent, InvalidEvent>>,
    /// JSON pointer to what holds the reports: empty, or `/events`.
    pub pointer: &'static str,
}

/// Why a body is no batch at all.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidBatch {
    /// It cannot be read as a batch.
    #[error(transparent)]
    Malformed(#[from] InvalidEvent),
    /// It holds more than [`MAX_EVENTS`].
    #[error("a batch has up to {MAX_EVENTS} events")]
    TooMany,
}

/// A batch that says when it was sent.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", expecting = "an object with events")]
struct Envelope<'a> {
    #[serde(borrow, default, alias = "sent_at")]
    sent_at: Option<&'a RawValue>,
    #[serde(borrow)]
    events: Vec<&'a RawValue>,
}

impl Batch {
    /// Reads a JSON array of reports (see [`SyncEvent::from_json`]), or `{"sentAt","events":[…]}`,
    /// where `sentAt` is the device's clock while it sends.
    ///
    /// Fails where there are no reports to be found, or more than [`MAX_EVENTS`].
    pub fn from_json(json: &[u8], received_at: Timestamp) -> Result<Self, InvalidBatch> {
        let is_array = json.trim_ascii_start().starts_with(b"[");
        let (pointer, envelope) = if is_array {
            ("", Envelope { sent_at: None, events: serde_json::from_slice(json).map_err(|error| malformed(&error))? })
        } else {
            ("/events", serde_json::from_slice(json).map_err(|error| malformed(&error))?)
        };
        let sent_at = envelope.sent_at.filter(|raw| raw.get() != "null").map(sent_at).transpose()?;
        let reports = envelope.events.iter().map(|raw| raw.get().as_bytes());
        Self::of(pointer, reports.collect(), sent_at, received_at)
    }

    /// Reads one report in each line that is not blank.
    ///
    /// Fails where there is none, or more than [`MAX_EVENTS`].
    pub fn from_lines(lines: &[u8], received_at: Timestamp) -> Result<Self, InvalidBatch> {
        let lines = lines.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii).filter(|line| !line.is_empty());
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
        let read = |json| SyncEvent::from_batch(json, received_at, sent_at);
        Ok(Self { reports: reports.into_iter().map(read).collect(), pointer })
    }

    /// All faults of all reports, with pointers from the top of the body.
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

fn sent_at(raw: &RawValue) -> Result<Timestamp, InvalidEvent> {
    super::sync_event::timestamp(raw.get()).map_err(|detail| fault("/sentAt", "invalid", detail.into_owned()))
}

fn malformed(error: &serde_json::Error) -> InvalidEvent {
    let expected = if error.is_data() { "expected an array of events, or an object with events" } else { "not JSON" };
    fault("", "malformed", format!("{expected}: {error}"))
}

fn fault(pointer: &'static str, code: &'static str, detail: String) -> InvalidEvent {
    InvalidEvent { errors: vec![FieldError { pointer: pointer.into(), code, detail }] }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RECEIVED: &str = "2026-11-23T12:00:00Z";

    fn received() -> Timestamp {
        RECEIVED.parse().unwrap()
    }

    fn report(device: &str, timestamp: &str) -> String {
        format!(
            r#"{{"deviceId":"{device}","timestamp":"{timestamp}","totalFilesSynced":1,"totalErrors":0,"internetSpeed":1}}"#
        )
    }

    fn devices(batch: &Batch) -> Vec<Option<&str>> {
        batch.reports.iter().map(|report| report.as_ref().ok().map(|event| event.device_id.as_str())).collect()
    }

    #[test]
    fn all_three_forms_are_the_same_batch() {
        let (a, b) = (report("a", RECEIVED), report("b", RECEIVED));
        let bodies = [format!("[{a},{b}]"), format!(r#"{{"events":[{a},{b}]}}"#)];
        for body in bodies {
            assert_eq!(devices(&Batch::from_json(body.as_bytes(), received()).unwrap()), [Some("a"), Some("b")]);
        }
        let lines = format!("\n{a}\r\n\n  {b}");
        assert_eq!(devices(&Batch::from_lines(lines.as_bytes(), received()).unwrap()), [Some("a"), Some("b")]);
    }

    #[test]
    fn a_bad_report_leaves_the_good_ones_alone_and_is_named() {
        let a = report("a", RECEIVED);
        for bad in ["7", "null", "[]", "{}", r#"{"deviceId":"b"}"#, r#""text""#] {
            let batch = Batch::from_json(format!(r#"{{"events":[{a},{bad}]}}"#).as_bytes(), received()).unwrap();
            assert_eq!(devices(&batch), [Some("a"), None], "{bad}");
            let faults = batch.faults().errors;
            assert!(faults.iter().all(|fault| fault.pointer.starts_with("/events/1")), "{faults:?}");
        }
        let lines = [a.as_bytes(), b"\xff", b"{\"", a.as_bytes()].join(&b'\n');
        assert_eq!(devices(&Batch::from_lines(&lines, received()).unwrap()), [Some("a"), None, None, Some("a")]);
    }

    #[test]
    fn what_holds_no_events_or_too_many_is_no_batch() {
        for body in
            ["", "{", "7", "null", "[]", r#"{"events":[]}"#, r#"{"events":7}"#, "{}", r#"{"events":[],"events":[]}"#]
        {
            assert!(matches!(Batch::from_json(body.as_bytes(), received()), Err(InvalidBatch::Malformed(_))), "{body}");
        }
        let many = vec!["{}"; MAX_EVENTS + 1];
        let (array, lines) = (format!("[{}]", many.join(",")), many.join("\n"));
        assert_eq!(Batch::from_json(array.as_bytes(), received()), Err(InvalidBatch::TooMany));
        assert_eq!(Batch::from_lines(lines.as_bytes(), received()), Err(InvalidBatch::TooMany));
        assert!(matches!(Batch::from_lines(b"\n \n", received()), Err(InvalidBatch::Malformed(_))));
        let wrong = Batch::from_json(br#"{"sentAt":"now","events":[{}]}"#, received());
        assert!(matches!(wrong, Err(InvalidBatch::Malformed(invalid)) if invalid.errors[0].pointer == "/sentAt"));
    }

    #[test]
    fn a_clock_that_is_off_by_its_own_word_is_set_right_and_identity_is_kept() {
        let read = |sent_at: &str, timestamp: &str| {
            let body = format!(r#"{{"sentAt":"{sent_at}","events":[{}]}}"#, report("a", timestamp));
            Batch::from_json(body.as_bytes(), received()).unwrap().reports.remove(0).unwrap()
        };
        // Two hours ahead: the sync was an hour before it was sent.
        let ahead = read("2026-11-23T14:00:00Z", "2026-11-23T13:00:00Z");
        assert_eq!(ahead.time.timestamp.to_string(), "2026-11-23T11:00:00Z");
        assert_eq!(ahead.time.device_timestamp.unwrap().to_string(), "2026-11-23T13:00:00Z");
        let plain = SyncEvent::from_json(report("a", "2026-11-23T13:00:00Z").as_bytes(), received()).unwrap();
        assert_eq!(ahead.id(), plain.id());
        // A clock that begins in 1970 at each start still tells how long ago the sync was.
        let reset = read("1970-01-01T03:00:00Z", "1970-01-01T01:00:00Z");
        assert_eq!(reset.time.timestamp.to_string(), "2026-11-23T10:00:00Z");
        // Within two minutes, it is the way that took so long.
        let slow = read("2026-11-23T11:58:00Z", "2026-11-23T11:00:00Z");
        assert_eq!(
            (slow.time.timestamp.to_string().as_str(), slow.time.device_timestamp),
            ("2026-11-23T11:00:00Z", None)
        );
        // What is not believable after that either gets the time of receipt.
        let beyond = read("2026-11-23T14:00:00Z", "1970-01-01T00:00:00Z");
        assert_eq!(beyond.time.timestamp.to_string(), RECEIVED);
    }
}
