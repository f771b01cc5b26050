//! Plans notifications: the outbox follows from the incident's state and its receivers' messages.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use pisync_core::models::{AlertState, Dead, Incident, MessageId, NotificationKind, OutboxEntry, SentNotification};

use crate::{notification::Delivery, routing::Route};

/// The labels that alerts of one message share.
type Group = BTreeMap<String, String>;

/// The time for which a message is retried before it counts as undeliverable.
const DELIVERY_TIMEOUT: SignedDuration = SignedDuration::from_hours(24);

/// The shortest and the longest wait between two attempts.
const WAITS: [SignedDuration; 2] = [SignedDuration::from_secs(5), SignedDuration::from_mins(15)];

/// The longest pause that a receiver may ask for.
const LONGEST_REST: SignedDuration = SignedDuration::from_hours(1);

/// The maximum number of undeliverable entries that an incident keeps for people.
const DEAD_KEPT: usize = 10;

/// The result of an attempt to deliver a claimed message.
#[derive(Debug, Clone, Copy)]
pub struct Trigger<'a> {
    /// The id of the message.
    pub message: &'a MessageId,
    /// The result of the attempt.
    pub delivery: &'a Delivery,
    /// Time of the attempt.
    pub now: Timestamp,
    /// Time of the next attempt, if there is one.
    pub next_at: Timestamp,
}

/// Plans the messages that the state needs.
pub(super) fn plan(incident: &mut Incident, routes: &[Route], now: Timestamp) {
    match incident.alert.state {
        AlertState::Pending | AlertState::Firing => plan_firing(incident, routes, now),
        AlertState::Resolved => plan_resolved(incident, routes, now),
    }
}

fn plan_firing(incident: &mut Incident, routes: &[Route], now: Timestamp) {
    let is_held_back = incident.is_held_back();
    let stays =
        |entry: &OutboxEntry| entry.is_in_flight() || (entry.kind != NotificationKind::Resolved && !is_held_back);
    incident.outbox.retain(stays);
    if is_held_back || incident.acked.is_some() {
        return;
    }
    for route in routes {
        let is_waiting = incident.outbox.iter().any(|entry| entry.receiver == route.receiver);
        if let Some(kind) = due(incident, route, now).filter(|_| !is_waiting) {
            queue(incident, kind, route.receiver.clone(), route.group.clone(), route.next_at(now));
        }
    }
}

/// Returns the kind of notification that is due for a receiver while the incident is firing.
fn due(incident: &Incident, route: &Route, now: Timestamp) -> Option<NotificationKind> {
    let repeat = SignedDuration::try_from(route.repeat_interval).unwrap_or(SignedDuration::MAX);
    let is_long_after = |at: Timestamp| now.duration_since(at) >= repeat;
    if let Some(sent) = incident.sent_to(&route.receiver) {
        // A reopened incident is no news, but it is repeated once it has lasted.
        let at = if sent.is_resolved { sent.at.max(incident.state_since) } else { sent.at };
        return is_long_after(at).then_some(NotificationKind::Repeat);
    }
    let given_up = incident.dead.iter().filter(|entry| entry.receiver == route.receiver);
    let given_up = given_up.filter_map(|entry| entry.dead.as_ref()).map(|dead| dead.at).max();
    given_up.is_none_or(is_long_after).then_some(NotificationKind::Firing)
}

/// Plans the resolved messages: only for receivers that got the firing message, or may be getting it now.
fn plan_resolved(incident: &mut Incident, routes: &[Route], now: Timestamp) {
    incident.outbox.retain(|entry| entry.is_in_flight() || entry.kind == NotificationKind::Resolved);
    for (receiver, group) in informed(incident) {
        let is_to_know = |entry: &OutboxEntry| entry.receiver == receiver && entry.kind == NotificationKind::Resolved;
        if !incident.outbox.iter().any(is_to_know) {
            let route = routes.iter().find(|route| route.receiver == receiver);
            let (group, next_at) = route.map_or((group, now), |route| (route.group.clone(), route.next_at(now)));
            queue(incident, NotificationKind::Resolved, receiver, group, next_at);
        }
    }
}

/// Returns the receivers that got the firing message or may be getting it now, with their groups.
fn informed(incident: &Incident) -> Vec<(String, Group)> {
    let knows = incident.notified.iter().filter(|sent| !sent.is_resolved);
    let learns = incident.outbox.iter().filter(|entry| entry.kind != NotificationKind::Resolved);
    let knows = knows.map(|sent| (sent.receiver.clone(), sent.group.clone()));
    knows.chain(learns.map(|entry| (entry.receiver.clone(), entry.group.clone()))).collect()
}

fn queue(incident: &mut Incident, kind: NotificationKind, receiver: String, group: Group, due_at: Timestamp) {
    incident.last_seq += 1;
    incident.outbox.push(OutboxEntry::new(incident.last_seq, kind, receiver, group, due_at));
}

/// Returns the incident after an attempt to deliver one of its messages.
pub fn delivered(before: &Incident, trigger: &Trigger<'_>) -> Incident {
    let mut after = before.clone();
    let (ours, rest): (Vec<_>, Vec<_>) =
        after.outbox.drain(..).partition(|entry| entry.message.as_ref() == Some(trigger.message));
    after.outbox = rest;
    for entry in ours {
        conclude(&mut after, entry, trigger);
    }
    drop_unfounded(&mut after);
    after.outbox.sort_by_key(|entry| entry.seq);
    after
}

fn conclude(incident: &mut Incident, entry: OutboxEntry, trigger: &Trigger<'_>) {
    let now = trigger.now;
    match trigger.delivery {
        Delivery::Sent => remember(incident, entry, now),
        Delivery::Dead { why } => bury(incident, entry, why, now),
        Delivery::Again { why, .. } if now.duration_since(entry.due_since) >= DELIVERY_TIMEOUT => {
            bury(incident, entry, why, now);
        }
        Delivery::Again { why, .. } => {
            let is_over = incident.alert.state == AlertState::Resolved;
            let is_still_so = is_over == (entry.kind == NotificationKind::Resolved);
            // A firing message is not retried after the end, nor a resolved message after a new start.
            if is_still_so && (is_over || !incident.is_held_back()) {
                let last_error = Some(why.clone());
                incident.outbox.push(OutboxEntry { next_at: trigger.next_at, lease_until: None, last_error, ..entry });
            }
        }
    }
}

fn remember(incident: &mut Incident, entry: OutboxEntry, now: Timestamp) {
    let is_resolved = entry.kind == NotificationKind::Resolved;
    match incident.notified.iter_mut().find(|sent| sent.receiver == entry.receiver) {
        Some(sent) if is_resolved => sent.is_resolved = true,
        Some(sent) => *sent = SentNotification { receiver: entry.receiver, group: entry.group, at: now, is_resolved },
        None => {
            incident.notified.push(SentNotification {
                receiver: entry.receiver,
                group: entry.group,
                at: now,
                is_resolved,
            });
        }
    }
}

fn bury(incident: &mut Incident, entry: OutboxEntry, why: &str, now: Timestamp) {
    let dead = Some(Dead { at: now, why: why.to_owned() });
    incident.dead.push(OutboxEntry { dead, lease_until: None, last_error: None, ..entry });
    let over = incident.dead.len().saturating_sub(DEAD_KEPT);
    incident.dead.drain(..over);
}

/// Drops resolved messages to receivers that never got the firing message.
fn drop_unfounded(incident: &mut Incident) {
    let informed = informed(incident);
    let is_informed = |entry: &OutboxEntry| informed.iter().any(|(receiver, _)| *receiver == entry.receiver);
    incident.outbox.retain(|entry| entry.kind != NotificationKind::Resolved || is_informed(entry));
}

/// Returns the wait before the next attempt, after `attempts` failed ones: 5 s, doubled each time up to 15
/// minutes. `jitter` (0 to 1) takes off up to a half. It is longer if the receiver asks for it.
pub(crate) fn wait(attempts: i32, delivery: &Delivery, jitter: f64) -> SignedDuration {
    let [first, longest] = WAITS;
    let doublings = u32::try_from(attempts.saturating_sub(1)).unwrap_or(0).min(16);
    let step = first.saturating_mul(1 << doublings).min(longest);
    let step = SignedDuration::from_secs_f64(step.as_secs_f64() * (1.0 - jitter / 2.0));
    match delivery {
        Delivery::Again { after: Some(after), .. } => {
            let asked = SignedDuration::try_from(*after).unwrap_or(SignedDuration::MAX);
            step.max(asked.min(LONGEST_REST))
        }
        _ => step,
    }
}
