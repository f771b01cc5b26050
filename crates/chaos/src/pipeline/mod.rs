//! The rows of the pipeline: what is done to APIs, workers and servers while a fleet sends.
//!
//! In reading order: `rows` (what is done to whom), `fault` (which there are), `scenario` (the world of one
//! row) with `own_servers` and `processes` (its processes), `workers`, `ingest`, `outages`, `failover`,
//! `replies` and `controls` (how it is done), `recovery` (how long a batch is without a worker), `verdict`
//! (what came of it).

mod controls;
mod failover;
mod fault;
mod ingest;
mod outages;
mod own_servers;
mod processes;
mod recovery;
mod replies;
mod rows;
mod scenario;
mod verdict;
mod workers;

use std::time::Instant;

use tokio_util::sync::CancellationToken;

pub(crate) use self::rows::{ALL, PipelineRow};
use self::{
    scenario::Scenario,
    verdict::{Outcome, PipelineColumns, verdict},
};
use crate::{
    play::bounded,
    settings::{Scale, Settings},
    table::Line,
};

/// One row from an empty world to its line. Whatever happens in it, its world is taken down.
pub(crate) async fn play(
    row: &PipelineRow,
    settings: &Settings,
    seed: u64,
    stop: &CancellationToken,
) -> Line<PipelineColumns> {
    log::info!(row = row.name; "playing");
    let (scale, started) = (row.fault.sized(&settings.scale()), Instant::now());
    let limit = scale.limit;
    let mut scenario = None;
    let outcome = bounded(Box::pin(act(row, scale, seed, &mut scenario)), limit, stop).await;
    let took = started.elapsed();
    let line = Line::new(
        row.name,
        outcome,
        |outcome| verdict(row.expect, outcome),
        |outcome| PipelineColumns::new(outcome, took),
    );
    if let Some(scenario) = scenario {
        let keep = settings.logs.as_deref().filter(|_| line.is_failed());
        scenario.teardown(row.name, keep).await;
    }
    line
}

async fn act(row: &PipelineRow, scale: Scale, seed: u64, scenario: &mut Option<Scenario>) -> anyhow::Result<Outcome> {
    // Boxed: the compiler looks only so deep into what is awaited.
    let scenario = scenario.insert(Box::pin(Scenario::start(row.fault.servers(), scale, seed)).await);
    let kills = Box::pin(row.fault.inject(scenario)).await?;
    scenario.finish(kills).await
}
