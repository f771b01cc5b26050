//! Rows with alerters: two alerters run while device after device begins to fail, and are killed. At the end the
//! alert log is compared with the expected lines.
//!
//! In reading order: `rows`, `fault` (the injected faults), `world` (the devices and the alerters of one row),
//! `alert_log` and `webhook` (received and expected messages), `recovery` (time without a sender), `verdict` (the
//! result).

mod alert_log;
mod fault;
mod recovery;
mod rows;
mod verdict;
mod webhook;
mod world;

use std::time::Instant;

use tokio_util::sync::CancellationToken;

pub(crate) use self::rows::{ALL, AlerterRow};
use self::{
    verdict::{AlerterColumns, Outcome, verdict},
    world::World,
};
use crate::{play::bounded, settings::Settings, table::Line};

/// Plays one row in a new environment and returns its line. The environment is removed even after an error.
pub(crate) async fn play(
    row: &AlerterRow,
    settings: &Settings,
    seed: u64,
    stop: &CancellationToken,
) -> Line<AlerterColumns> {
    log::info!(row = row.name; "playing");
    let (scale, started) = (settings.scale(), Instant::now());
    // Messages to the log leave one after the other, so ten thousand take long.
    let limit = 2 * scale.limit;
    let mut world = None;
    let act = async {
        let world = world.insert(World::begin(scale, seed).await?);
        let kills = row.fault.inject(world).await?;
        world.finish(kills).await
    };
    let outcome: anyhow::Result<Outcome> = bounded(Box::pin(act), limit, stop).await;
    let took = started.elapsed();
    let line = Line::new(
        row.name,
        outcome,
        |outcome| verdict(row.expect, outcome),
        |outcome| AlerterColumns::new(&outcome, took),
    );
    if let Some(world) = world {
        let keep = settings.logs.as_deref().filter(|_| line.is_failed());
        world.teardown(row.name, keep).await;
    }
    line
}
