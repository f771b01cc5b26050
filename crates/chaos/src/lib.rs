//! The kill matrices: processes and servers are killed while a fleet sends, and then its ledger is compared with
//! `MongoDB`. Alerters are killed too, and their log is compared with the expected messages.
//!
//! In reading order: `settings`, `row`, `play` (runs rows), `crash` (deaths of processes), `table` (the output);
//! `pipeline` (faults of APIs, workers and servers), `alerters` (faults of alerters), `edge` (attacks on
//! `ingest-api`); [`naive`] (the common settings of the controls).

mod alerters;
mod crash;
mod edge;
pub mod naive;
mod pipeline;
mod play;
mod row;
mod settings;
mod table;

use anyhow::ensure;
use pisync_core::shutdown;

pub use self::settings::Settings;
use self::{play::several, row::Row};

/// Runs the matrices and prints their tables. Returns true if every row passes.
///
/// Fails if no row has a name that was asked for, or if a signal ended the run.
pub async fn run(settings: &Settings) -> anyhow::Result<bool> {
    let stop = shutdown::on_signal()?;
    let seed = settings.seed.unwrap_or_else(|| fastrand::u32(..).into());
    let of_pipeline = wanted(pipeline::ALL, settings);
    let of_alerters = wanted(alerters::ALL, settings);
    let of_edge = wanted(edge::ALL, settings);
    let count = of_pipeline.len() + of_alerters.len() + of_edge.len();
    ensure!(count > 0, "no row has a name like this; the rows are: {}", names().join("; "));
    log::info!(rows = count, seed = seed; "starting");
    let jobs = settings.jobs();
    let stored = several(jobs, &of_pipeline, &stop, async |row| pipeline::play(row, settings, seed, &stop).await).await;
    let alerted =
        several(jobs, &of_alerters, &stop, async |row| alerters::play(row, settings, seed, &stop).await).await;
    // One after the other: each measures the latency of reports.
    let attacked = several(1, &of_edge, &stop, async |row| edge::play(row, settings, &stop).await).await;
    table::print(&stored, settings.json)?;
    table::print(&alerted, settings.json)?;
    table::print(&attacked, settings.json)?;
    ensure!(!stop.is_cancelled(), "stopped by a signal");
    let failed = stored.iter().filter(|line| line.is_failed()).count()
        + alerted.iter().filter(|line| line.is_failed()).count()
        + attacked.iter().filter(|line| line.is_failed()).count();
    Ok(failed == 0)
}

fn wanted<F, E>(rows: &'static [Row<F, E>], settings: &Settings) -> Vec<&'static Row<F, E>> {
    rows.iter().filter(|row| settings.wants(row)).collect()
}

/// Returns the names of all rows, for a message.
fn names() -> Vec<&'static str> {
    let names = pipeline::ALL.iter().map(|row| row.name).chain(alerters::ALL.iter().map(|row| row.name));
    names.chain(edge::ALL.iter().map(|row| row.name)).collect()
}
