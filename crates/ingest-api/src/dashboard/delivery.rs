//! The delivery of an incident's messages, by receiver.

use std::collections::BTreeSet;

use jiff::Timestamp;
use pisync_core::models::{Incident, OutboxEntry};

use super::relative_time::RelativeTime;

/// The delivery to one receiver.
#[derive(Debug)]
pub(super) struct Delivery {
    pub(super) receiver: String,
    /// CSS class: `sent`, `waiting`, `retrying` or `dead`.
    pub(super) class: &'static str,
    /// A sign that tells the classes apart without colour.
    pub(super) sign: &'static str,
    /// The state in words.
    pub(super) said: String,
    /// Time of the last delivery, or of the next attempt.
    pub(super) at: Option<RelativeTime>,
    /// Last error of the receiver, if it refused the message.
    pub(super) why: String,
}

/// Returns the delivery to each receiver of an incident's messages, ordered by name.
pub(super) fn of(incident: &Incident, now: Timestamp) -> Vec<Delivery> {
    let told = incident.notified.iter().map(|told| told.receiver.as_str());
    let entries = incident.outbox.iter().chain(&incident.dead).map(|entry| entry.receiver.as_str());
    let receivers: BTreeSet<_> = told.chain(entries).collect();
    receivers.into_iter().map(|receiver| to(receiver, incident, now)).collect()
}

/// Returns the delivery to a receiver: a pending message takes precedence over a dead one, and that over an
/// earlier sent one.
fn to(receiver: &str, incident: &Incident, now: Timestamp) -> Delivery {
    if let Some(entry) = incident.outbox.iter().find(|entry| entry.receiver == receiver) {
        return leaving(entry, now);
    }
    let told = incident.sent_to(receiver);
    let dead = incident.dead.iter().rev().find(|entry| entry.receiver == receiver);
    let dead = dead.and_then(|entry| Some((entry, entry.dead.as_ref()?)));
    match (told, dead) {
        (told, Some((entry, dead))) if told.is_none_or(|told| told.at < dead.at && !told.is_resolved) => Delivery {
            at: Some(RelativeTime::new(dead.at, now)),
            why: dead.why.clone(),
            ..Delivery::new(receiver, "dead", "\u{2715}", format!("\u{201c}{}\u{201d} given up", entry.kind.as_str()))
        },
        (Some(told), _) if told.is_resolved => {
            Delivery::new(receiver, "sent", "\u{2713}", "was notified of the resolution".into())
        }
        (told, _) => Delivery {
            at: told.map(|told| RelativeTime::new(told.at, now)),
            ..Delivery::new(receiver, "sent", "\u{2713}", "was notified".into())
        },
    }
}

fn leaving(entry: &OutboxEntry, now: Timestamp) -> Delivery {
    let kind = entry.kind.as_str();
    let (receiver, at) = (entry.receiver.as_str(), Some(RelativeTime::ahead(entry.next_at, now)));
    if entry.lease_until.is_some_and(|until| until > now) {
        return Delivery::new(receiver, "waiting", "\u{2197}", format!("\u{201c}{kind}\u{201d} is being sent"));
    }
    if entry.attempts == 0 {
        let said = format!("\u{201c}{kind}\u{201d} leaves");
        return Delivery { at, ..Delivery::new(receiver, "waiting", "\u{25d4}", said) };
    }
    let times = if entry.attempts == 1 { "once".to_owned() } else { format!("{} times", entry.attempts) };
    let said = format!("\u{201c}{kind}\u{201d} failed {times}, trying again");
    let why = entry.last_error.clone().unwrap_or_else(|| "its sender stopped before the answer".into());
    Delivery { at, why, ..Delivery::new(receiver, "retrying", "\u{21bb}", said) }
}

impl Delivery {
    fn new(receiver: &str, class: &'static str, sign: &'static str, said: String) -> Self {
        Self { receiver: receiver.into(), class, sign, said, at: None, why: String::new() }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use pisync_core::models::{Alert, Dead, DeviceId, FailureRun, NotificationKind, SentNotification};

    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn incident() -> Incident {
        let run = FailureRun { count: 3, since: at(0), last_at: at(0), last_speed: 0.2 };
        Incident::new(Alert::device_sync_failing(DeviceId::parse("a").unwrap(), &run), at(0))
    }

    fn entry(receiver: &str, attempts: i32) -> OutboxEntry {
        let last_error = (attempts > 0).then(|| "503 no".into());
        let entry = OutboxEntry::new(1, NotificationKind::Firing, receiver.into(), BTreeMap::new(), at(0));
        OutboxEntry { next_at: at(1_300), attempts, last_error, ..entry }
    }

    fn told(receiver: &str, second: i64, is_resolved: bool) -> SentNotification {
        SentNotification { receiver: receiver.into(), group: BTreeMap::new(), at: at(second), is_resolved }
    }

    #[test]
    fn each_receiver_has_one_line_with_its_time_and_its_error() {
        let mut incident = incident();
        let given_up = |receiver: &str, second| OutboxEntry {
            dead: Some(Dead { at: at(second), why: "400 gone".into() }),
            ..entry(receiver, 1)
        };
        incident.notified =
            vec![told("f", 900, false), told("e", 400, true), told("g", 900, false), told("b", 10, false)];
        incident.outbox =
            vec![entry("b", 2), entry("a", 0), OutboxEntry { lease_until: Some(at(1_001)), ..entry("c", 1) }];
        incident.outbox.push(OutboxEntry { lease_until: Some(at(999)), last_error: None, ..entry("h", 1) });
        incident.dead = vec![given_up("d", 100), given_up("f", 950), given_up("g", 100), given_up("b", 100)];
        let lines: Vec<_> = of(&incident, at(1_000))
            .into_iter()
            .map(|one| {
                format!(
                    "{} {} {} {} {}",
                    one.receiver,
                    one.class,
                    one.said,
                    one.at.map_or(String::new(), |at| at.ago),
                    one.why
                )
            })
            .collect();
        assert_eq!(
            lines,
            [
                "a waiting \u{201c}firing\u{201d} leaves in 5 min ",
                "b retrying \u{201c}firing\u{201d} failed 2 times, trying again in 5 min 503 no",
                "c waiting \u{201c}firing\u{201d} is being sent  ",
                "d dead \u{201c}firing\u{201d} given up 15 min ago 400 gone",
                "e sent was notified of the resolution  ",
                "f dead \u{201c}firing\u{201d} given up 50 s ago 400 gone",
                "g sent was notified 1 min ago ",
                "h retrying \u{201c}firing\u{201d} failed once, trying again in 5 min its sender stopped before the answer",
            ]
        );
    }
}
