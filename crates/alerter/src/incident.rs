//! How an incident goes on: pure functions from what was, what is seen and what time it is to what
//! is, with the messages that have to leave in its outbox.
//!
//! They want one state of things and take whatever steps lead there, so that it does not matter
//! how often or how late they are asked.

mod tell;

use jiff::{SignedDuration, Timestamp};
use pisync_core::models::{Alert, AlertId, AlertState, Incident, SilenceId};

pub(crate) use self::tell::wait;
pub use self::tell::{Trigger, delivered};
use crate::routing::Route;

/// What comes back so soon after it was over is the same incident, and no news.
pub const SAME_INCIDENT: SignedDuration = SignedDuration::from_mins(30);

/// What a rule and the rest of the world say of one thing that may be wrong.
#[derive(Debug, Clone, PartialEq)]
pub struct Seen {
    /// The alert, as it would begin now; none where all is well.
    pub wrong: Option<Alert>,
    /// Since when all is well, where it is.
    pub well_since: Timestamp,
    /// Whether it is fresh enough to begin with: late data never pages.
    pub is_recent: bool,
    /// How long it has to last until it is told.
    pub lasts: SignedDuration,
    /// How long all has to be well until it is over.
    pub clears_after: SignedDuration,
    /// The silences that hold it back.
    pub silenced_by: Vec<SilenceId>,
    /// The alert that holds it back.
    pub inhibited_by: Option<AlertId>,
    /// Whether it comes and goes.
    pub flapping: bool,
}

/// The incident after this was seen, where that is another than before; `before` is the open one,
/// or else the last one that there was.
pub fn next(before: Option<&Incident>, seen: &Seen, routes: &[Route], now: Timestamp) -> Option<Incident> {
    let mut after = stand(before, seen, now)?;
    after.silenced_by.clone_from(&seen.silenced_by);
    after.inhibited_by = seen.inhibited_by;
    after.flapping = seen.flapping;
    let told = after.last_seq;
    tell::settle(&mut after, routes, now);
    if let Some(alert) = seen.wrong.as_ref().filter(|_| after.last_seq > told) {
        // What is told now is told as it is now.
        after.alert.failure_count = alert.failure_count;
        (after.alert.cause, after.alert.evidence) = (alert.cause, alert.evidence);
    }
    (before != Some(&after)).then_some(after)
}

/// Where the incident stands now. `None` where there is nothing to say about it.
fn stand(before: Option<&Incident>, seen: &Seen, now: Timestamp) -> Option<Incident> {
    let Some(before) = before.cloned() else { return begin(seen, now) };
    match (before.alert.state, &seen.wrong) {
        (AlertState::Resolved, None) => None,
        (AlertState::Resolved, Some(alert)) => come_back(before, alert, seen, now),
        (AlertState::Pending | AlertState::Firing, None) => Some(end(before, seen, now)),
        (AlertState::Pending, Some(_)) if now.duration_since(before.state_since) >= seen.lasts => {
            Some(enter(before, AlertState::Firing, now))
        }
        (AlertState::Pending | AlertState::Firing, Some(alert)) => Some(go_on(before, alert)),
    }
}

fn begin(seen: &Seen, now: Timestamp) -> Option<Incident> {
    let alert = seen.wrong.clone().filter(|_| seen.is_recent)?;
    let state = if seen.lasts > SignedDuration::ZERO { AlertState::Pending } else { AlertState::Firing };
    Some(enter(Incident::new(alert, now), state, now))
}

fn come_back(before: Incident, alert: &Alert, seen: &Seen, now: Timestamp) -> Option<Incident> {
    if !seen.is_recent {
        return None;
    }
    let is_news = now.duration_since(before.state_since) > SAME_INCIDENT;
    if is_news && before.alert.id != alert.id {
        return begin(seen, now);
    }
    let mut again = enter(before, AlertState::Firing, now);
    again.alert.ends_at = None;
    if is_news {
        // It has the id of the one before, and so its place; people are told all the same.
        again.acked = None;
        again.told.clear();
    }
    Some(again)
}

/// It is still so: what is found of many devices changes while it goes on.
fn go_on(mut before: Incident, alert: &Alert) -> Incident {
    before.well_since = None;
    if alert.finding.is_some() {
        before.alert.finding.clone_from(&alert.finding);
        (before.alert.cause, before.alert.failure_count) = (alert.cause, alert.failure_count);
    }
    before
}

/// It is over, or seems to be so but not for long enough.
fn end(mut before: Incident, seen: &Seen, now: Timestamp) -> Incident {
    let since = before.well_since.unwrap_or(seen.well_since);
    if now.duration_since(since) < seen.clears_after {
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
