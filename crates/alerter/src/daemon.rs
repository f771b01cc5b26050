//! When the alerter looks: by its schedule at everything, and at once where a worker hints.

use std::time::Duration;

use croner::Cron;
use jiff::{SignedDuration, Timestamp, tz::TimeZone};
use pisync_core::{queue::Hints, store::Store};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use crate::{
    outbox::{Outbox, Sending},
    routing::Routing,
    summary::Summaries,
    tick::Alerter,
};

/// How often hints are taken and the outbox is looked at.
const BEAT: Duration = Duration::from_millis(500);

/// How often it is asked whether a summary is due.
const SUMMARY: Duration = Duration::from_secs(5);

/// How late a tick may be done: it takes its time, and so does what the beat does before it.
const SLACK: SignedDuration = SignedDuration::from_secs(30);

/// How often it is looked whether a new config has an Alertmanager, where there is none.
const NO_ALERTMANAGER: Duration = Duration::from_secs(10);

/// The most hints that are taken in one beat.
const HINTS: usize = 10_000;

/// Watches until `stop`. A server that is away is tried again with the next beat; what was not
/// seen then is seen by the next tick, since that compares everything. Looking, sending and telling
/// of a week do not wait for each other.
pub async fn watch(
    alerter: &Alerter,
    outbox: &Outbox,
    summaries: &Summaries,
    hints: &Hints,
    schedule: &Cron,
    stop: &CancellationToken,
) {
    tokio::join!(look(alerter, hints, schedule, stop), send(outbox, stop), sum_up(summaries, stop));
}

async fn look(alerter: &Alerter, hints: &Hints, schedule: &Cron, stop: &CancellationToken) {
    let mut troubles = Troubles::default();
    // At once, then by the schedule.
    let mut next_tick = Some(Timestamp::now());
    while !stop.is_cancelled() {
        if next_tick.is_some_and(|at| at <= Timestamp::now()) {
            next_tick = following(schedule, Timestamp::now());
            let looked = alerter.tick().await;
            if looked.is_ok() {
                // Nobody waits for the answer: hints do not, and no tick comes so soon.
                tokio::spawn(alerter.ping());
            }
            troubles.note("tick", looked);
        }
        match hints.take(HINTS).await {
            Ok(devices) => troubles.note("hints", alerter.look_at(&devices).await),
            Err(error) => troubles.note("hints", Err::<(), _>(error)),
        }
        beat(stop).await;
    }
}

/// What is being sent when `stop` comes is sent to its end.
async fn send(outbox: &Outbox, stop: &CancellationToken) {
    let (mut troubles, mut sending) = (Troubles::default(), Sending::default());
    while !stop.is_cancelled() {
        let due = meanwhile(&mut sending, &mut troubles, outbox.due()).await;
        troubles.note("due messages", due.map(|groups| sending.begin(outbox, groups)));
        meanwhile(&mut sending, &mut troubles, beat(stop)).await;
    }
    while let Some(over) = sending.next().await {
        troubles.note("outbox", over);
    }
}

/// Waits for something while the sending goes on: what is being sent may hold the very connection
/// to the store that the other waits for.
async fn meanwhile<T>(sending: &mut Sending, troubles: &mut Troubles, other: impl Future<Output = T>) -> T {
    let mut other = std::pin::pin!(other);
    loop {
        tokio::select! {
            done = &mut other => return done,
            Some(over) = sending.next() => troubles.note("outbox", over),
        }
    }
}

async fn sum_up(summaries: &Summaries, stop: &CancellationToken) {
    let mut troubles = Troubles::default();
    while !stop.is_cancelled() {
        troubles.note("summary", Box::pin(summaries.send()).await);
        tokio::select! {
            () = sleep(SUMMARY) => {}
            () = stop.cancelled() => {}
        }
    }
}

async fn beat(stop: &CancellationToken) {
    tokio::select! {
        () = sleep(BEAT) => {}
        () = stop.cancelled() => {}
    }
}

/// Keeps alive what fires at Alertmanagers, for ever; a config that is put in meanwhile counts from
/// the next round.
pub async fn keep_alive(receivers: Routing, store: Store) {
    loop {
        let next = receivers.keep_alive(&store).await;
        sleep(next.unwrap_or(NO_ALERTMANAGER)).await;
    }
}

/// Whether no tick is missing: the one that was due after `last` is done or due only just now.
pub(crate) fn is_in_time(schedule: &Cron, last: Option<Timestamp>, now: Timestamp) -> bool {
    last.is_some_and(|last| following(schedule, last).is_none_or(|due| now.duration_since(due) <= SLACK))
}

/// The schedule's next time, if it has any.
fn following(schedule: &Cron, now: Timestamp) -> Option<Timestamp> {
    let next = schedule.find_next_occurrence(&now.to_zoned(TimeZone::UTC), false);
    next.ok().map(|next| next.timestamp())
}

/// What is failing now: said once when it begins and once when it is over.
#[derive(Default)]
struct Troubles(Vec<&'static str>);

impl Troubles {
    fn note<T, E: std::fmt::Display>(&mut self, what: &'static str, outcome: Result<T, E>) {
        let known = self.0.contains(&what);
        match outcome {
            Ok(_) if known => {
                self.0.retain(|trouble| *trouble != what);
                log::info!(what = what; "works again");
            }
            Err(error) if !known => {
                self.0.push(what);
                log::warn!(what = what, error:% = error; "failed, trying on");
            }
            Ok(_) | Err(_) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tick_is_missing_when_the_next_one_by_the_schedule_was_not_done_half_a_minute_later() {
        let hourly: Cron = "0 * * * *".parse().unwrap();
        let at = |text: &str| text.parse::<Timestamp>().unwrap();
        let last = Some(at("2026-11-24T10:00:03Z"));
        assert!(is_in_time(&hourly, last, at("2026-11-24T10:59:59Z")));
        assert!(is_in_time(&hourly, last, at("2026-11-24T11:00:30Z")));
        assert!(!is_in_time(&hourly, last, at("2026-11-24T11:00:31Z")));
        assert!(!is_in_time(&hourly, None, at("2026-11-24T10:00:00Z")));
    }
}
