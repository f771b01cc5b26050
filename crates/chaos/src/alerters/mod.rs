//! The rows of the alerters: two of them watch a fleet in which device after device begins to
//! fail, they are killed, and afterwards the alert log is compared with what had to be told.
//!
//! In reading order: `rows`, `fault` (what is done), `world` (the devices and the alerters of one row),
//! `alert_log` and `webhook` (what the log and a webhook have and must have), `recovery` (how long the log stands
//! still), `verdict` (what came of it).

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

/// One row from an empty world to its line. Whatever happens in it, its world is taken down.
pub(crate) async fn play(
    row: &AlerterRow,
    settings: &Settings,
    seed: u64,
    stop: &CancellationToken,
) -> Line<AlerterColumns> {
    log::info!(row = row.name; "playing");
    let (scale, started) = (settings.scale(), Instant::now());
    // Messages to the log leave one after the other: ten thousand take their time.
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
