//! Reports each completed tick: to Redis, so that pages can say if nobody is being alerted, and by pings.

use std::time::Duration;

use croner::Cron;
use jiff::{Timestamp, tz::TimeZone};
use pisync_core::{
    presence::{Heartbeat, Tick},
    queue::Queue,
};

use crate::routing::Routing;

/// Reports the ticks of one process. Cheap to clone.
#[derive(Debug, Clone)]
pub struct TickReporter {
    heartbeat: Heartbeat,
    alerter: String,
    pub(crate) schedule: Cron,
    routing: Routing,
}

impl TickReporter {
    /// Returns the reporter of a process that ticks by this schedule.
    pub fn new(queue: Queue, schedule: Cron, routing: Routing) -> Self {
        let alerter = format!("{}-{:08x}", std::process::id(), fastrand::u32(..));
        Self { heartbeat: Heartbeat::new(queue), alerter, schedule, routing }
    }

    /// Writes the heartbeat of a completed tick, and pings. An error is logged, and the next tick does it
    /// again.
    pub async fn ticked(self) {
        tokio::join!(self.write(), self.routing.ping());
    }

    async fn write(&self) {
        let now = Timestamp::now();
        let next = following(&self.schedule, now).and_then(|next| Duration::try_from(next.duration_since(now)).ok());
        // Besides the log, which is one of them.
        let receivers = self.routing.current().file.receivers.len() - 1;
        let tick = Tick { alerter: &self.alerter, next: next.unwrap_or_default(), receivers };
        if let Err(error) = self.heartbeat.ticked(&tick).await {
            log::warn!(error:% = error; "the heartbeat was not written: pages say that no alerter runs");
        }
    }
}

/// Returns the schedule's next time, if it has any.
pub(crate) fn following(schedule: &Cron, now: Timestamp) -> Option<Timestamp> {
    let next = schedule.find_next_occurrence(&now.to_zoned(TimeZone::UTC), false);
    next.ok().map(|next| next.timestamp())
}
