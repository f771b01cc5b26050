//! What strangers do to an `ingest-api` that has 256 MB: each attack, with the reports of devices beside
//! it, and the same without the server's bounds, which must fail.
//!
//! In reading order: `rows`, `attack` (what strangers do), `watch` (the process and its memory),
//! `reports` (the devices beside it), `line` (what is printed).

mod attack;
mod line;
mod reports;
mod rows;
mod watch;

use std::time::Duration;

use anyhow::Context;
use testkit::{Api, TestEnv};
use tokio_util::sync::CancellationToken;

use self::{line::Line, reports::Reports, rows::Row, watch::Watch};
pub(super) use self::{line::print, rows::ALL};
use super::{bounded, settings::Settings};

/// How long an attack goes on.
const LASTS: Duration = Duration::from_mins(1);
const QUICK: Duration = Duration::from_secs(4);

/// How long the rest of a row may take.
const AROUND: Duration = Duration::from_mins(2);

/// Whether a row is wanted: the small form has some of them.
pub(super) fn wants(row: &Row, settings: &Settings) -> bool {
    let is_named = settings.only.iter().any(|only| row.name.contains(only.as_str()));
    is_named || (settings.only.is_empty() && (row.quick || !settings.quick))
}

/// One row from an empty world to its line.
pub(super) async fn play(row: &Row, settings: &Settings, stop: &CancellationToken) -> Line {
    log::info!(row = row.name; "playing");
    let lasts = if settings.quick { QUICK } else { LASTS };
    let env = TestEnv::new();
    let outcome = bounded(Box::pin(act(row, &env, lasts)), lasts + AROUND, stop).await;
    let line = Line::new(row, settings.quick, outcome);
    if line.failure.is_some()
        && let Some(folder) = &settings.logs
    {
        let _ = std::fs::create_dir_all(folder);
        let _ = std::fs::copy(env.path("api.log"), folder.join(format!("{}.log", row.name.replace([' ', ','], "-"))));
    }
    env.remove().await;
    line
}

async fn act(row: &Row, env: &TestEnv, lasts: Duration) -> anyhow::Result<line::Outcome> {
    let keys = if row.attack.needs_keys() { Some(attack::Keys::make(env).await?) } else { None };
    let mut args: Vec<String> = row.args.iter().map(|arg| (*arg).to_owned()).collect();
    args.extend(keys.iter().flat_map(attack::Keys::args));
    args.extend((!row.bounds).then(|| "--no-bounds".to_owned()));
    let api = env.api(&args.iter().map(String::as_str).collect::<Vec<_>>()).await;
    row.attack.prepare(env, &api).await.context("before the attack")?;
    let watch = Watch::start(api.service.pid());
    let reports = Reports::start(&api.url, keys.as_ref().map(|keys| keys.ingest.clone()))?;
    let attack = row.attack.run(&api.url, keys.as_ref(), lasts).await;
    let (reports, memory) = (reports.end().await, watch.end().await);
    let damage = if memory.is_alive { attack.damage(row.attack, &api, keys.as_ref()).await } else { None };
    Ok(line::Outcome { reports, memory, acts: attack.acts, damage })
}

impl attack::Attack {
    /// What the attack needs to find.
    async fn prepare(self, env: &TestEnv, api: &Api) -> anyhow::Result<()> {
        let Some(devices) = self.devices() else { return Ok(()) };
        let mut worker = env.worker("worker.log", &[]).await;
        attack::fill(&api.url, devices).await?;
        env.drained().await;
        worker.terminate().await;
        Ok(())
    }
}
