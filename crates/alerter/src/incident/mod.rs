//! The state machine of an incident, a pure function. It maps the previous incident, an evaluation and the time
//! to the next incident, with the messages in its outbox.
//!
//! It is level-triggered: it moves to the wanted state from any other, so it does not matter how often or how
//! late it runs.

mod notifications;

use jiff::{SignedDuration, Timestamp};
use pisync_core::models::{Alert, AlertId, AlertState, Incident, SilenceId};

pub(crate) use self::notifications::wait;
pub use self::notifications::{Trigger, delivered};
use crate::{
    evaluation::{Evaluation, Health},
    routing::Route,
};

/// The time after its end in which a failure reopens the same incident, without a new message.
pub const SAME_INCIDENT: SignedDuration = SignedDuration::from_mins(30);

/// The reasons that suppress the messages of an incident.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Suppression {
    /// The silences that match it.
    pub silenced_by: Vec<SilenceId>,
    /// The alert that inhibits it.
    pub inhibited_by: Option<AlertId>,
    /// True if its device is flapping.
    pub flapping: bool,
}

/// Returns the incident after an evaluation, or `None` if it does not change. `before` is the open incident, or
/// else the last one.
pub fn next(
    before: Option<&Incident>,
    evaluation: &Evaluation,
    suppression: &Suppression,
    routes: &[Route],
    now: Timestamp,
) -> Option<Incident> {
    let mut after = transition(before, evaluation, now)?;
    after.silenced_by.clone_from(&suppression.silenced_by);
    after.inhibited_by = suppression.inhibited_by;
    after.flapping = suppression.flapping;
    let planned = after.last_seq;
    notifications::plan(&mut after, routes, now);
    if after.last_seq > planned && evaluation.health == Health::Unhealthy {
        // A message shows the current facts.
        let alert = &evaluation.alert;
        after.alert.failure_count = alert.failure_count;
        (after.alert.cause, after.alert.evidence) = (alert.cause, alert.evidence);
    }
    (before != Some(&after)).then_some(after)
}

/// Returns the incident in its new state; `None` if there is none.
fn transition(before: Option<&Incident>, evaluation: &Evaluation, now: Timestamp) -> Option<Incident> {
    let Some(before) = before.cloned() else { return open(evaluation, now) };
    match (evaluation.health, before.is_open()) {
        (Health::Unhealthy, true) => Some(go_on(before, &evaluation.alert)),
        (Health::Unhealthy, false) => reopen(before, evaluation, now),
        (Health::Healthy, true) => Some(resolve(before, evaluation, now)),
        // It stays unhealthy, or goes on to be resolved.
        (Health::Unknown, true) if before.well_since.is_some() => Some(resolve(before, evaluation, now)),
        (Health::Unknown, true) => Some(before),
        (Health::Healthy | Health::Unknown, false) => None,
    }
}

fn open(evaluation: &Evaluation, now: Timestamp) -> Option<Incident> {
    let alert = Some(evaluation.alert.clone()).filter(|_| evaluation.may_open())?;
    Some(enter(Incident::new(alert, now), AlertState::Firing, now))
}

/// Returns whether an evaluation is about this incident, and not about a new one.
pub(crate) fn goes_on(before: &Incident, evaluation: &Evaluation, now: Timestamp) -> bool {
    before.is_open() || !is_news(before, now) || before.alert.id == evaluation.alert.id
}

/// Returns whether an incident ended so long ago that people are notified of a new failure.
fn is_news(before: &Incident, now: Timestamp) -> bool {
    now.duration_since(before.state_since) > SAME_INCIDENT
}

fn reopen(before: Incident, evaluation: &Evaluation, now: Timestamp) -> Option<Incident> {
    if !evaluation.is_recent {
        return None;
    }
    if !goes_on(&before, evaluation, now) {
        return open(evaluation, now);
    }
    let is_news = is_news(&before, now);
    let mut again = enter(before, AlertState::Firing, now);
    again.alert.ends_at = None;
    if is_news {
        // It has the id of the previous one, and so replaces it. People are notified all the same.
        again.acked = None;
        again.notified.clear();
    }
    Some(again)
}

/// Keeps it unhealthy and updates the facts about many devices, which change while it is open.
fn go_on(mut before: Incident, alert: &Alert) -> Incident {
    before.well_since = None;
    if alert.finding.is_some() {
        before.alert.finding.clone_from(&alert.finding);
        (before.alert.cause, before.alert.failure_count) = (alert.cause, alert.failure_count);
    }
    before
}

/// Resolves it, or keeps it open if it has not been healthy for long enough.
fn resolve(mut before: Incident, evaluation: &Evaluation, now: Timestamp) -> Incident {
    let since = before.well_since.unwrap_or(evaluation.healthy_since);
    if now.duration_since(since) < evaluation.clears_after {
        before.well_since = Some(since);
        return before;
    }
    before.alert.ends_at = Some(since);
    enter(before, AlertState::Resolved, now)
}

fn enter(mut incident: Incident, state: AlertState, now: Timestamp) -> Incident {
    incident.alert.state = state;
    incident.state_since = now;
    incident.well_since = None;
    incident
}

#[cfg(test)]
mod tests;
