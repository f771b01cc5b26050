//! The kill matrices: everything that can be killed is killed while a fleet sends, and afterwards
//! its ledger is compared with `MongoDB`; and alerters, whose log is compared with what they had to
//! tell.
//!
//! In reading order: `settings`, `pipeline` (what is done to APIs, workers and servers), `alerters` (the
//! same for those), `edge` (what strangers do to `ingest-api`).

mod alerters;
mod edge;
mod pipeline;
mod settings;

use std::{
    panic::AssertUnwindSafe,
    time::{Duration, Instant},
};

use anyhow::{anyhow, ensure};
use futures_util::{FutureExt, StreamExt, future, stream};
use pisync_core::shutdown;
pub use settings::Settings;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use self::{
    pipeline::{
        line::{self, Line},
        rows::{self, Row, Servers},
        stage::Stage,
    },
    settings::Scale,
};

/// Runs the matrix, prints its table, and says whether every row is as it must be.
///
/// Fails where no row has the name that was asked for, or a signal ended the run.
pub async fn run(settings: &Settings) -> anyhow::Result<bool> {
    let stop = shutdown::on_signal()?;
    let seed = settings.seed.unwrap_or_else(|| fastrand::u32(..).into());
    let rows: Vec<_> = rows::ALL.iter().filter(|row| settings.wants(row.name, row.servers)).collect();
    let of_alerters: Vec<_> = alerters::ALL.iter().filter(|row| settings.wants(row.name, Servers::Shared)).collect();
    let of_strangers: Vec<_> = edge::ALL.iter().filter(|row| edge::wants(row, settings)).collect();
    let count = rows.len() + of_alerters.len() + of_strangers.len();
    ensure!(count > 0, "no row has a name like this; the rows are: {}", names());
    log::info!(rows = count, seed = seed; "starting");
    let jobs = settings.jobs();
    let lines = several(jobs, &rows, &stop, async |row| {
        let line = play(row, settings, seed, &stop).await;
        line.log();
        line
    })
    .await;
    let told = several(jobs, &of_alerters, &stop, async |row| {
        let line = alerters::play(row, settings, seed, &stop).await;
        line.log();
        line
    })
    .await;
    // One after the other: each measures how long a report takes.
    let held = several(1, &of_strangers, &stop, async |row| {
        let line = edge::play(row, settings, &stop).await;
        line.log();
        line
    })
    .await;
    line::print(&lines, settings.json)?;
    alerters::print(&told, settings.json)?;
    edge::print(&held, settings.json)?;
    ensure!(!stop.is_cancelled(), "stopped by a signal");
    let are_right = lines.iter().all(|line| line.failure.is_none()) && told.iter().all(|line| line.failure.is_none());
    Ok(are_right && held.iter().all(|line| line.failure.is_none()))
}

/// Plays `jobs` rows at a time, none of them after a signal. Returns their lines in the order of the rows.
async fn several<R, L>(jobs: usize, rows: &[&R], stop: &CancellationToken, play: impl AsyncFn(&R) -> L) -> Vec<L> {
    let rows = stream::iter(rows).take_while(|_| future::ready(!stop.is_cancelled()));
    rows.map(|row| play(row)).buffered(jobs).collect().await
}

/// The names of all rows, for a message.
fn names() -> String {
    let names = rows::ALL.iter().map(|row| row.name).chain(alerters::ALL.iter().map(|row| row.name));
    let names = names.chain(edge::ALL.iter().map(|row| row.name));
    names.collect::<Vec<_>>().join("; ")
}

/// One row from an empty world to its line. Whatever happens in it, its world is taken down.
async fn play(row: &Row, settings: &Settings, seed: u64, stop: &CancellationToken) -> Line {
    log::info!(row = row.name; "playing");
    let (scale, started) = (row.havoc.sized(&settings.scale()), Instant::now());
    let limit = scale.limit;
    let mut stage = None;
    let outcome = bounded(Box::pin(act(row, scale, seed, &mut stage)), limit, stop).await;
    let line = Line::new(row, outcome, started.elapsed());
    if let Some(stage) = stage {
        let keep = settings.logs.as_deref().filter(|_| line.failure.is_some());
        stage.strike(row.name, keep).await;
    }
    line
}

async fn act(row: &Row, scale: Scale, seed: u64, stage: &mut Option<Stage>) -> anyhow::Result<line::Outcome> {
    // Boxed: the compiler looks only so deep into what is awaited.
    let stage = stage.insert(Box::pin(Stage::set(row.servers, scale, seed)).await);
    let kills = Box::pin(row.havoc.wreak(stage)).await?;
    stage.settle(kills).await
}

/// What comes of an act that breaks down, takes too long or is stopped by a signal is an error.
async fn bounded<T>(
    act: impl Future<Output = anyhow::Result<T>>,
    limit: Duration,
    stop: &CancellationToken,
) -> anyhow::Result<T> {
    tokio::select! {
        played = timeout(limit, AssertUnwindSafe(act).catch_unwind()) => match played {
            Ok(Ok(outcome)) => outcome,
            Ok(Err(_)) => Err(anyhow!("a process broke down; its log is above")),
            Err(_) => Err(anyhow!("not done after {} s", limit.as_secs())),
        },
        () = stop.cancelled() => Err(anyhow!("stopped by a signal")),
    }
}
