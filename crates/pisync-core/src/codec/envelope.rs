//! The envelope: the JSON form of an event in the queue.

use std::{borrow::Cow, collections::BTreeMap};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::models::{Details, DeviceId, DeviceTime, InvalidLabels, Labels, ReportError, ReportId, SyncEvent};

/// The version that [`encode`] writes. A change to the meaning of an event raises it. A worker that does not know the
/// version leaves the message to a worker that does.
const VERSION: u32 = 2;

/// An envelope. Names are short, since Redis holds millions of these. The format is JSON, so that an operator can read
/// it.
#[derive(Serialize, Deserialize)]
struct Envelope<'a> {
    v: u32,
    /// Device id.
    #[serde(borrow)]
    d: Cow<'a, str>,
    /// Time of the sync, ms since 1970.
    t: i64,
    /// The device's own time if it was not trusted, ms since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    o: Option<i64>,
    /// Whether the report came late from a clock that agreed with ours.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    a: bool,
    /// Files synced.
    f: i32,
    /// Errors.
    e: i32,
    /// Speed in Mbps.
    s: f64,
    /// Time of receipt, ms since 1970.
    r: i64,
    /// Report id, if there is one: part of the event's identity.
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    i: Option<Cow<'a, str>>,
    /// Error code, if there is one: part of the event's identity.
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    c: Option<Cow<'a, str>>,
    /// Error message, if there is one.
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    m: Option<Cow<'a, str>>,
    /// Labels, if there are any.
    #[serde(borrow, default, skip_serializing_if = "BTreeMap::is_empty")]
    l: BTreeMap<Cow<'a, str>, Cow<'a, str>>,
}

/// The reason that the bytes of a message are not an event.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadEnvelope {
    /// Written by another version; the message itself may be sound.
    #[error("envelope version {0} is not known, only {VERSION} is")]
    Version(u32),
    /// Not an envelope.
    #[error("malformed envelope: {0}")]
    Malformed(String),
}

/// Returns the event as one compact JSON object.
pub fn encode(event: &SyncEvent) -> Vec<u8> {
    let details = &event.details;
    let envelope = Envelope {
        v: VERSION,
        d: Cow::Borrowed(event.device_id.as_str()),
        t: event.time.timestamp.as_millisecond(),
        o: event.time.device_timestamp.map(Timestamp::as_millisecond),
        a: event.time.agrees,
        f: event.total_files_synced,
        e: event.total_errors,
        s: event.internet_speed,
        r: event.received_at.as_millisecond(),
        i: details.report_id.as_ref().map(|report_id| report_id.as_str().into()),
        c: details.error.as_ref().map(|error| error.code().into()),
        m: details.error.as_ref().and_then(ReportError::message).map(Into::into),
        l: details.labels.iter().map(|(name, value)| (name.into(), value.into())).collect(),
    };
    serde_json::to_vec(&envelope).unwrap_or_default()
}

/// Returns the event in a message.
pub fn decode(message: &[u8]) -> Result<SyncEvent, BadEnvelope> {
    let envelope: Envelope<'_> = serde_json::from_slice(message).map_err(|error| bad(message, &error))?;
    if envelope.v != VERSION {
        return Err(BadEnvelope::Version(envelope.v));
    }
    let malformed = |what: &dyn std::fmt::Display| BadEnvelope::Malformed(what.to_string());
    let error = |code: Cow<'_, str>| ReportError::new(&code, envelope.m.as_deref());
    let time = |millis| Timestamp::from_millisecond(millis).map_err(|error| malformed(&error));
    let details = Details {
        report_id: envelope.i.map(|id| ReportId::parse(&id)).transpose().map_err(|error| malformed(&error))?,
        error: envelope.c.map(error).transpose().map_err(|error| malformed(&error))?,
        labels: labels(envelope.l).map_err(|error| malformed(&error))?,
    };
    Ok(SyncEvent {
        device_id: DeviceId::parse(&envelope.d).map_err(|error| malformed(&error))?,
        time: DeviceTime {
            timestamp: time(envelope.t)?,
            device_timestamp: envelope.o.map(time).transpose()?,
            agrees: envelope.a,
        },
        total_files_synced: envelope.f,
        total_errors: envelope.e,
        internet_speed: envelope.s,
        details,
        received_at: time(envelope.r)?,
    })
}

/// Returns the time of receipt of a message's event, for any version of the message.
pub(crate) fn received_at(message: &[u8]) -> Option<Timestamp> {
    #[derive(Deserialize)]
    struct Receipt {
        r: i64,
    }
    let Receipt { r } = serde_json::from_slice(message).ok()?;
    Timestamp::from_millisecond(r).ok()
}

fn labels(pairs: BTreeMap<Cow<'_, str>, Cow<'_, str>>) -> Result<Labels, InvalidLabels> {
    Labels::new(pairs.into_iter().map(|(name, value)| (name.into_owned(), value.into_owned())))
}

/// Tells an envelope of another version, whose other members may differ, from bytes that are no envelope.
fn bad(message: &[u8], error: &serde_json::Error) -> BadEnvelope {
    #[derive(Deserialize)]
    struct Version {
        v: u32,
    }
    match serde_json::from_slice(message) {
        Ok(Version { v }) if v != VERSION => BadEnvelope::Version(v),
        _ => BadEnvelope::Malformed(error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn event(timestamp: &str) -> SyncEvent {
        let json = format!(
            r#"{{"deviceId":"b55b5e5a-aadc-4321-a12d-51b872166d48","timestamp":"{timestamp}","totalFilesSynced":8,"totalErrors":5,"internetSpeed":97.54086055640643}}"#
        );
        SyncEvent::from_json(json.as_bytes(), "2026-11-23T08:57:44.001Z".parse().unwrap()).unwrap()
    }

    proptest! {
        /// Any body gets an answer, and a report that was accepted is the same event after the queue.
        #[test]
        fn whatever_is_taken_is_the_same_event_behind_the_queue(
            texts in prop::collection::vec("\\PC{0,24}", 4),
            millis in -1_000_000_i64..4_000_000_000_000,
            counts in (0_u32.., 0_u32..),
            speed in 0.0..1e9_f64,
            garbage in prop::collection::vec(any::<u8>(), 0..80),
        ) {
            let now = Timestamp::from_second(1_800_000_000).unwrap();
            let body = serde_json::json!({
                "deviceId": texts[0], "timestamp": millis, "totalFilesSynced": counts.0, "totalErrors": counts.1,
                "internetSpeed": speed, "reportId": texts[1], "error": { "code": texts[2], "message": texts[3] },
                "labels": { "region": texts[3] },
            });
            if let Ok(event) = SyncEvent::from_json(body.to_string().as_bytes(), now) {
                prop_assert_eq!(decode(&encode(&event)), Ok(event));
            }
            let _ = (SyncEvent::from_json(&garbage, now), decode(&garbage));
        }
    }

    #[test]
    fn an_event_leaves_as_it_came() {
        for timestamp in ["2026-11-23T08:57:43.469Z", "1970-01-01T00:00:00Z"] {
            let event = event(timestamp);
            assert_eq!(decode(&encode(&event)), Ok(event));
        }
    }

    #[test]
    fn that_a_clock_agreed_with_ours_leaves_as_it_came() {
        let plain = event("2026-11-23T03:57:43.469Z");
        let time = DeviceTime::judge(plain.time.timestamp, plain.received_at, Some(plain.received_at));
        let late = SyncEvent { time, ..plain };
        assert!(late.time.agrees);
        assert_eq!(decode(&encode(&late)), Ok(late));
    }

    #[test]
    fn labels_leave_as_they_came_and_without_them_nothing_is_said_of_them() {
        let plain = event("2026-11-23T08:57:43.469Z");
        let pairs = [("region", "nord"), ("contentVersion", "4\"2")].map(|(name, value)| (name.into(), value.into()));
        let labelled = SyncEvent {
            details: Details { labels: Labels::new(pairs).unwrap(), ..Details::default() },
            ..plain.clone()
        };
        assert_eq!(decode(&encode(&labelled)), Ok(labelled));
        let text = String::from_utf8(encode(&plain)).unwrap();
        assert!(text.ends_with(r#","s":97.54086055640643,"r":1795424264001}"#), "{text}");
        let wrong = text.replace('}', r#","l":{"a b":"c"}}"#);
        assert!(matches!(decode(wrong.as_bytes()), Err(BadEnvelope::Malformed(_))));
    }

    #[test]
    fn a_report_id_and_an_error_leave_as_they_came() {
        let plain = event("2026-11-23T08:57:43.469Z");
        let details = Details { report_id: Some(ReportId::parse("b5\"5").unwrap()), ..Details::default() };
        let named = SyncEvent { details, ..plain.clone() };
        for message in [None, Some("disk \"full\"")] {
            let mut event = named.clone();
            event.details.error = Some(ReportError::new("E_DISK", message).unwrap());
            let read = decode(&encode(&event)).unwrap();
            assert_eq!((&read, read.id()), (&event, named.id()));
        }
        assert_ne!(decode(&encode(&named)).unwrap().id(), plain.id());
    }

    #[test]
    fn it_is_smaller_than_the_body_it_came_in() {
        assert!(encode(&event("2026-11-23T08:57:43.469Z")).len() < 163);
    }

    #[test]
    fn other_versions_and_other_things_are_told_apart() {
        assert_eq!(decode(br#"{"v":3,"device":"a"}"#), Err(BadEnvelope::Version(3)));
        assert_eq!(received_at(br#"{"v":3,"r":1000}"#), Timestamp::from_second(1).ok());
        for message in [&b"{}"[..], b"", b"hello", br#"{"v":2}"#, br#"{"v":2,"d":"","t":0,"f":0,"e":0,"s":0,"r":0}"#] {
            assert!(matches!(decode(message), Err(BadEnvelope::Malformed(_))), "{message:?}");
        }
    }
}
