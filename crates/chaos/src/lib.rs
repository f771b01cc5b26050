//! The kill matrices: everything that can be killed is killed while a fleet sends, and afterwards
//! its ledger is compared with `MongoDB`; and alerters, whose log is compared with what they had to
//! tell.
//!
//! In reading order: `settings`, `row`, `play` (how rows are played), `crash` (how processes die), `table`
//! (what is printed); `pipeline` (what is done to APIs, workers and servers), `alerters` (the same for
//! those), `edge` (what strangers do to `ingest-api`); [`naive`] (what the controls have in common).

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

/// Runs the matrices, prints their tables, and returns whether every row is as it must be.
///
/// Fails if no row has the name that was asked for, or a signal ended the run.
pub async fn run(settings: &Settings) -> anyhow::Result<bool> {
    let stop = shutdown::on_signal()?;
    let seed = settings.seed.unwrap_or_else(|| fastrand::u32(..).into());
    let of_pipeline = wanted(pipeline::ALL, settings);
    let of_alerters = wanted(alerters::ALL, settings);
    let of_strangers = wanted(edge::ALL, settings);
    let count = of_pipeline.len() + of_alerters.len() + of_strangers.len();
    ensure!(count > 0, "no row has a name like this; the rows are: {}", names().join("; "));
    log::info!(rows = count, seed = seed; "starting");
    let jobs = settings.jobs();
    let stored = several(jobs, &of_pipeline, &stop, async |row| pipeline::play(row, settings, seed, &stop).await).await;
    let told = several(jobs, &of_alerters, &stop, async |row| alerters::play(row, settings, seed, &stop).await).await;
    // One after the other: each measures how long a report takes.
    let held = several(1, &of_strangers, &stop, async |row| edge::play(row, settings, &stop).await).await;
    table::print(&stored, settings.json)?;
    table::print(&told, settings.json)?;
    table::print(&held, settings.json)?;
    ensure!(!stop.is_cancelled(), "stopped by a signal");
    let failed = stored.iter().filter(|line| line.is_failed()).count()
        + told.iter().filter(|line| line.is_failed()).count()
        + held.iter().filter(|line| line.is_failed()).count();
    Ok(failed == 0)
}

fn wanted<F, E>(rows: &'static [Row<F, E>], settings: &Settings) -> Vec<&'static Row<F, E>> {
    rows.iter().filter(|row| settings.wants(row)).collect()
}

/// The names of all rows, for a message.
fn names() -> Vec<&'static str> {
    let names = pipeline::ALL.iter().map(|row| row.name).chain(alerters::ALL.iter().map(|row| row.name));
    names.chain(edge::ALL.iter().map(|row| row.name)).collect()
}
