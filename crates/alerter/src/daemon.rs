//! The loops of the alerter: ticks by the schedule, hinted devices at once, messages and summaries.

use std::time::Duration;

use croner::Cron;
use jiff::{SignedDuration, Timestamp};
use pisync_core::{queue::Hints, store::Store};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use crate::{
    outbox::{Outbox, Sending},
    routing::Routing,
    summary::SummarySender,
    tick::Alerter,
    tick_reporter::{TickReporter, following},
};

/// The interval at which hints are taken and the outbox is read.
const POLL_INTERVAL: Duration = Duration::from_millis(500);

/// The interval at which due summaries are looked for.
const SUMMARY_INTERVAL: Duration = Duration::from_secs(5);

/// The tolerance for a late tick. A tick takes its time, and so do the hints before it.
const SLACK: SignedDuration = SignedDuration::from_secs(30);

/// The interval at which a new Alertmanager in the config is noticed, if there was none.
const NO_ALERTMANAGER: Duration = Duration::from_secs(10);

/// The maximum number of hints taken at once.
const HINTS: usize = 10_000;

/// Runs ticks, messages and summaries until `stop`. They do not wait for each other.
///
/// If a server is away, or does not answer within `timeout`, it is tried again. The next tick makes up for
/// missed ones, since it compares everything.
pub async fn watch(
    alerter: &Alerter,
    reporter: &TickReporter,
    summaries: &SummarySender,
    hints: &Hints,
    timeout: Duration,
    stop: &CancellationToken,
) {
    let ticks = tick(alerter, reporter, hints, timeout, stop);
    tokio::join!(ticks, send(&summaries.outbox, timeout, stop), sum_up(summaries, timeout, stop));
}

async fn tick(alerter: &Alerter, reporter: &TickReporter, hints: &Hints, timeout: Duration, stop: &CancellationToken) {
    let mut troubles = Troubles::default();
    // At once, then on the schedule.
    let mut next_tick = Some(Timestamp::now());
    while !stop.is_cancelled() {
        if next_tick.is_some_and(|at| at <= Timestamp::now()) {
            next_tick = following(&reporter.schedule, Timestamp::now());
            let ticking = alerter.clone();
            let ticked = in_time(timeout, async move { ticking.tick().await }).await;
            if ticked.is_ok() {
                // In the background: hints must not wait for it, and the next tick is far off.
                tokio::spawn(reporter.clone().ticked());
            }
            troubles.note("tick", ticked);
        }
        let hinted = async {
            let (devices, alerter) = (hints.take(HINTS).await?, alerter.clone());
            in_time(timeout, async move { alerter.evaluate(&devices).await }).await
        };
        troubles.note("hints", hinted.await);
        pause(stop, POLL_INTERVAL).await;
    }
}

/// Sends due messages. After `stop`, messages in flight are still sent to the end.
async fn send(outbox: &Outbox, timeout: Duration, stop: &CancellationToken) {
    let (mut troubles, mut sending) = (Troubles::default(), Sending::default());
    while !stop.is_cancelled() {
        let alerts = outbox.store.alerts();
        let due = in_time(timeout, async move { alerts.due_groups().await });
        let due = meanwhile(&mut sending, &mut troubles, due).await;
        troubles.note("due messages", due.map(|groups| sending.begin(outbox, groups)));
        meanwhile(&mut sending, &mut troubles, pause(stop, POLL_INTERVAL)).await;
    }
    while let Some(over) = sending.next().await {
        troubles.note("outbox", over);
    }
}

/// Waits for `other` while sending continues: a message in flight may hold the store connection that `other`
/// needs.
async fn meanwhile<T>(sending: &mut Sending, troubles: &mut Troubles, other: impl Future<Output = T>) -> T {
    let mut other = std::pin::pin!(other);
    loop {
        tokio::select! {
            done = &mut other => return done,
            Some(over) = sending.next() => troubles.note("outbox", over),
        }
    }
}

async fn sum_up(summaries: &SummarySender, timeout: Duration, stop: &CancellationToken) {
    let mut troubles = Troubles::default();
    while !stop.is_cancelled() {
        let summaries = summaries.clone();
        troubles.note("summary", in_time(timeout, async move { Box::pin(summaries.send()).await }).await);
        pause(stop, SUMMARY_INTERVAL).await;
    }
}

async fn pause(stop: &CancellationToken, length: Duration) {
    stop.run_until_cancelled(sleep(length)).await;
}

/// Runs a step with a timeout, so that a server that hangs does not stop alerting for ever. The step is a task
/// of its own, so that a panic in it is an error like others.
async fn in_time<T, E>(
    timeout: Duration,
    step: impl Future<Output = Result<T, E>> + Send + 'static,
) -> anyhow::Result<T>
where
    T: Send + 'static,
    E: Into<anyhow::Error> + Send + 'static,
{
    let mut task = tokio::spawn(step);
    let Ok(done) = tokio::time::timeout(timeout, &mut task).await else {
        task.abort();
        anyhow::bail!("no answer within {} s, given up", timeout.as_secs_f64());
    };
    done?.map_err(Into::into)
}

/// Keeps firing alerts alive at Alertmanagers, for ever. A new config applies from the next round.
pub async fn keep_alive(routing: Routing, store: Store, timeout: Duration) {
    loop {
        let next = tokio::time::timeout(timeout, routing.keep_alive(&store)).await;
        sleep(next.ok().flatten().unwrap_or(NO_ALERTMANAGER)).await;
    }
}

/// Returns whether no tick is missing: the tick that was due after `last` is done, or is not yet late.
pub(crate) fn is_in_time(schedule: &Cron, last: Option<Timestamp>, now: Timestamp) -> bool {
    last.is_some_and(|last| following(schedule, last).is_none_or(|due| now.duration_since(due) <= SLACK))
}

/// The current failures. Each is logged once when it begins and once when it ends.
#[derive(Default)]
struct Troubles(Vec<&'static str>);

impl Troubles {
    fn note<T, E: Into<anyhow::Error>>(&mut self, what: &'static str, outcome: Result<T, E>) {
        let known = self.0.contains(&what);
        match outcome {
            Ok(_) if known => {
                self.0.retain(|trouble| *trouble != what);
                log::info!(what = what; "has recovered");
            }
            Err(error) if !known => {
                self.0.push(what);
                let error = format!("{:#}", error.into());
                log::warn!(what = what, error = error.as_str(); "failed, retrying");
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
