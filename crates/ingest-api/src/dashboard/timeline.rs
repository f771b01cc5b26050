//! The history of a device and of the actions on it, in one list.

use std::cmp::Reverse;

use jiff::Timestamp;
use pisync_core::{
    models::{Alert, AlertName, DeviceId, Incident, Labels, Silence, SilenceEnd, Subject},
    store::StoredEvent,
};

use super::{incidents, relative_time::RelativeTime};

/// Maximum number of lines, the newest ones.
const LINES: usize = 60;

/// A line of the timeline.
#[derive(Debug)]
pub(super) struct Line {
    at: Timestamp,
    pub(super) moment: RelativeTime,
    /// CSS class: `good`, `failed`, `alert` or `action`.
    pub(super) class: &'static str,
    pub(super) sign: &'static str,
    pub(super) said: String,
}

/// Returns whether a silence matches an alert of this device with these labels.
pub(super) fn is_about(silence: &Silence, device_id: &DeviceId, labels: &Labels) -> bool {
    AlertName::KNOWN.into_iter().any(|name| {
        let alert = Alert::new(name, Subject::Device(device_id.clone()), Timestamp::UNIX_EPOCH);
        silence.matches(&Alert { labels: labels.clone(), ..alert }.labels())
    })
}

/// Returns syncs, incidents, acknowledgements and silences, newest first.
pub(super) fn of(rows: &[StoredEvent], incidents: &[Incident], silences: &[Silence], now: Timestamp) -> Vec<Line> {
    let line = |(at, class, sign, said)| Line { at, moment: RelativeTime::new(at, now), class, sign, said };
    let said = rows.iter().map(sync).chain(incidents.iter().flat_map(incident));
    let said = said.chain(silences.iter().flat_map(|silence| silence_entries(silence, now)));
    let mut lines: Vec<_> = said.map(line).collect();
    lines.sort_by_key(|line| Reverse(line.at));
    lines.truncate(LINES);
    lines
}

type Said = (Timestamp, &'static str, &'static str, String);

fn sync(row: &StoredEvent) -> Said {
    let suspect = if row.device_timestamp.is_some() { ", with a wrong clock" } else { "" };
    let (files, errors, speed) = (row.total_files_synced, row.total_errors, row.internet_speed);
    let s = if errors == 1 { "" } else { "s" };
    if errors > 0 {
        let said = format!("sync with {errors} error{s}, {files} files, {speed:.2} Mbps{suspect}");
        (row.timestamp, "failed", "\u{2715}", said)
    } else {
        (row.timestamp, "good", "\u{2713}", format!("good sync, {files} files, {speed:.2} Mbps{suspect}"))
    }
}

fn incident(listed: &Incident) -> impl Iterator<Item = Said> {
    let (alert, name) = (&listed.alert, listed.alert.name);
    let cause = match incidents::cause(alert) {
        "" => String::new(),
        cause => format!(", {cause}"),
    };
    let began = (alert.starts_at, "alert", "!", format!("incident began: {name}{cause}"));
    let taken = listed.acked.as_ref().map(|ack| {
        let said = format!("incident acknowledged by {}{}", ack.by, reason(&ack.comment));
        (ack.at, "action", "\u{2611}", said)
    });
    let ended = alert.ends_at.map(|end| (end, "alert", "\u{2713}", format!("incident ended: {name}")));
    [Some(began), taken, ended].into_iter().flatten()
}

fn silence_entries(silence: &Silence, now: Timestamp) -> impl Iterator<Item = Said> {
    let until = match silence.end {
        SilenceEnd::At(end) if end > now => format!(" until {}", RelativeTime::new(end, now).utc),
        SilenceEnd::At(_) => String::new(),
        SilenceEnd::Resolved { .. } => " until its alerts are resolved".into(),
    };
    let what = if silence.starts_at > now { "silence planned" } else { "silenced" };
    let said = format!("{what} by {}{until}{}", silence.by, reason(&silence.comment));
    let ended = match silence.end {
        SilenceEnd::At(end) if end <= now => Some((end, "action", "\u{2016}", "silence ended".to_owned())),
        _ => None,
    };
    [Some((silence.starts_at.min(now), "action", "\u{2016}", said)), ended].into_iter().flatten()
}

fn reason(comment: &str) -> String {
    if comment.is_empty() { String::new() } else { format!(": {comment}") }
}

#[cfg(test)]
mod tests {
    use pisync_core::models::{Ack, Alert, AlertId, FailureRun};

    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn silence(matcher: &str, starts: i64, end: SilenceEnd) -> Silence {
        Silence {
            id: AlertId::from_bytes([1; 12]),
            matchers: vec![matcher.parse().unwrap()],
            starts_at: at(starts),
            end,
            by: "me".into(),
            comment: "moving".into(),
            created_at: at(starts),
        }
    }

    #[test]
    fn what_people_did_about_a_device_stands_among_what_it_did() {
        let run = FailureRun { count: 3, since: at(100), last_at: at(100), last_speed: 0.2 };
        let mut incident = Incident::new(Alert::device_sync_failing(DeviceId::parse("a").unwrap(), &run), at(100));
        incident.acked = Some(Ack { by: "you".into(), comment: "on it".into(), at: at(200) });
        let over = silence("deviceId=a", 150, SilenceEnd::At(at(250)));
        let open = silence("deviceId=a", 300, SilenceEnd::Resolved { has_matched: false });
        let said: Vec<_> = of(&[], &[incident], &[over, open], at(1_000)).into_iter().map(|line| line.said).collect();
        assert_eq!(
            said,
            [
                "silenced by me until its alerts are resolved: moving",
                "silence ended",
                "incident acknowledged by you: on it",
                "silenced by me: moving",
                "incident began: DeviceSyncFailing, connectivity",
            ]
        );
    }

    #[test]
    fn a_silence_is_about_the_devices_that_it_matches() {
        let device_id = DeviceId::parse("pibook-1").unwrap();
        let labels = Labels::new([("region".into(), "nord".into())]).unwrap();
        let end = SilenceEnd::At(at(1));
        for (matcher, is) in [
            ("deviceId^=pibook", true),
            ("deviceId=pibook-2", false),
            ("alertname=DeviceSyncFailing", true),
            ("alertname=Nothing", false),
            ("region=nord", true),
            ("region=sud", false),
        ] {
            assert_eq!(is_about(&silence(matcher, 0, end), &device_id, &labels), is, "{matcher}");
        }
    }
}
