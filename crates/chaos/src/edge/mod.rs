//! Attacks on an `ingest-api` with 256 MB, beside the reports of devices. Each is repeated without the server's
//! bounds, and that must fail.
//!
//! In reading order: `rows`, `attack` (the attacks), `watch` (the process and its memory), `reports` (the devices
//! beside it), `verdict` (the result).

mod attack;
mod reports;
mod rows;
mod verdict;
mod watch;

use std::time::Duration;

use anyhow::Context;
use testkit::{Api, TestEnv};
use tokio_util::sync::CancellationToken;

pub(crate) use self::rows::{ALL, EdgeRow};
use self::{
    reports::Reports,
    verdict::{EdgeColumns, Outcome, verdict_on},
    watch::Watch,
};
use crate::{
    play::{bounded, keep_logs},
    settings::Settings,
    table::Line,
};

/// The duration of an attack.
const LASTS: Duration = Duration::from_mins(1);
const QUICK: Duration = Duration::from_secs(4);

/// The timeout for the rest of a row.
const AROUND: Duration = Duration::from_mins(2);

/// Plays one row in a new environment and returns its line.
pub(crate) async fn play(row: &EdgeRow, settings: &Settings, stop: &CancellationToken) -> Line<EdgeColumns> {
    log::info!(row = row.name; "playing");
    let lasts = if settings.quick { QUICK } else { LASTS };
    let env = TestEnv::new();
    let outcome = bounded(Box::pin(act(row, &env, lasts)), lasts + AROUND, stop).await;
    let line = Line::new(row.name, outcome, |outcome| verdict_on(row, settings.quick, outcome), EdgeColumns::new);
    if let Some(folder) = settings.logs.as_deref().filter(|_| line.is_failed()) {
        keep_logs(&env.path(""), folder, row.name);
    }
    env.remove().await;
    line
}

async fn act(row: &EdgeRow, env: &TestEnv, lasts: Duration) -> anyhow::Result<Outcome> {
    let keys = if row.fault.attack.needs_keys() { Some(attack::AttackKeys::make(env).await?) } else { None };
    let mut args: Vec<String> = row.fault.args.iter().map(|arg| (*arg).to_owned()).collect();
    args.extend(keys.iter().flat_map(attack::AttackKeys::args));
    args.extend((!row.fault.bounds).then(|| "--no-bounds".to_owned()));
    let api = env.api(&args.iter().map(String::as_str).collect::<Vec<_>>()).await;
    row.fault.attack.prepare(env, &api).await.context("before the attack")?;
    let watch = Watch::start(api.service.pid());
    let reports = Reports::start(&api.url, keys.as_ref().map(|keys| keys.ingest.clone()))?;
    let attack = row.fault.attack.run(&api.url, keys.as_ref(), lasts).await;
    let (reports, memory) = (reports.end().await, watch.end().await);
    let damage = if memory.is_alive { attack.damage(row.fault.attack, &api, keys.as_ref()).await } else { None };
    Ok(Outcome { reports, memory, acts: attack.acts, damage })
}

impl attack::Attack {
    /// Stores the devices that the attack needs.
    async fn prepare(self, env: &TestEnv, api: &Api) -> anyhow::Result<()> {
        let Some(devices) = self.devices() else { return Ok(()) };
        let mut worker = env.worker("worker.log", &[]).await;
        attack::fill(&api.url, devices).await?;
        env.drained().await;
        worker.terminate().await;
        Ok(())
    }
}
