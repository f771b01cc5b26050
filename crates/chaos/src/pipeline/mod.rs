//! Rows of the pipeline: faults of APIs, workers and servers while a fleet sends.
//!
//! In reading order: `rows`, `fault` (the kinds of faults), `scenario` (the environment of one row) with
//! `own_servers` and `processes`, `workers`, `ingest`, `outages`, `failover`, `replies` and `controls` (how the
//! faults are injected), `recovery` (time of a batch without a worker), `verdict` (the result).

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

/// Plays one row in a new environment and returns its line. The environment is removed even after an error.
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
    // Boxed: the compiler's recursion limit for futures is reached otherwise.
    let scenario = scenario.insert(Box::pin(Scenario::start(row.fault.servers(), scale, seed)).await);
    let kills = Box::pin(row.fault.inject(scenario)).await?;
    scenario.finish(kills).await
}
