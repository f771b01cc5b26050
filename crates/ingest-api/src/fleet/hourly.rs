//! The hourly job of one process: it counts the devices by status, for the comparison a day later. It also adds
//! up the hours, in case no caller asks for them.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use pisync_core::{models::StatusHour, time::hour_of};
use tokio::time::sleep;

use super::{
    Fleet, hours,
    refresh::{DEADLINE, OneAtATime},
};
use crate::http::error::ApiError;

/// Interval at which a process checks whether the hour has its counts.
const ASK: Duration = Duration::from_mins(1);

/// Retention of the counts: as long as hours are kept up to date.
const KEPT: SignedDuration = SignedDuration::from_hours(hours::KEPT as i64);

/// Keeps the record for ever; begins after `first`, so that a start is not slowed down.
pub(crate) async fn keep(fleet: Fleet, first: Duration) {
    sleep(first.mul_f64(fastrand::f64().mul_add(0.5, 0.75))).await;
    let turn = OneAtATime::default();
    loop {
        let noted = fleet.clone();
        let note = || async move { note(&noted, Timestamp::now()).await };
        if let Err(error) = turn.run(ASK, "the counts of the hour", note).await {
            error.log("hourly");
        }
        // With jitter, so that processes do not ask together.
        sleep(ASK.mul_f64(fastrand::f64().mul_add(0.5, 0.75))).await;
    }
}

/// Counts the devices, unless another process did in this hour; the one that counts adds up the hours too.
async fn note(fleet: &Fleet, now: Timestamp) -> Result<(), ApiError> {
    let (counts, hour) = (fleet.store.status_hours(), hour_of(now));
    if counts.find(hour).await?.is_some() {
        return Ok(());
    }
    let by_status = fleet.device_counts_within(DEADLINE).await?.by_status();
    let taken = StatusHour { hour, taken_at: now, counts: by_status.map(|(_, count)| count) };
    if counts.keep(&taken).await? {
        counts.forget_before(hour.checked_sub(KEPT).unwrap_or(Timestamp::MIN)).await?;
        fleet.hours.within(now.checked_sub(KEPT).unwrap_or(Timestamp::MIN), now, DEADLINE).await?;
    }
    Ok(())
}
