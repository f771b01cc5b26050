//! `fleet-sim scenario`: plays a scenario of a fleet on a simulated clock and prints the messages that people would
//! get.
//!
//! A scenario runs a whole system, with a worker and an alerter. So it is a program of its own beside this one;
//! `scripts/fleet-first` builds it and starts servers.

use std::{
    env::{self, consts::EXE_SUFFIX},
    path::PathBuf,
};

use anyhow::{Context, ensure};
use tokio::process::Command;

use crate::config::ScenarioSettings;

/// The program that plays scenarios.
const PLAYER: &str = "fleet_first";

/// Plays the scenario. Returns true if the messages were the expected ones.
pub async fn run(settings: ScenarioSettings) -> anyhow::Result<bool> {
    let player = beside_us().context("finding the path of this program")?;
    ensure!(
        player.is_file(),
        "{} is not there: build it with `cargo build --package testkit --package queue-worker --bins`, or use \
         scripts/fleet-first, which does",
        player.display()
    );
    let mut command = Command::new(&player);
    command.arg(&settings.name).args(&settings.more);
    command.env("PISYNC_TEST_REDIS_URL", settings.redis_url.expose());
    command.env("PISYNC_TEST_MONGO_URI", settings.mongo_uri.expose());
    command.env("PISYNC_TEST_BIN", &settings.redis_bin);
    let status = command.status().await.with_context(|| format!("starting {}", player.display()))?;
    Ok(status.success())
}

fn beside_us() -> std::io::Result<PathBuf> {
    Ok(env::current_exe()?.with_file_name(format!("{PLAYER}{EXE_SUFFIX}")))
}
