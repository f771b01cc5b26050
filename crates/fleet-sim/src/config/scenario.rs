//! The flags of `fleet-sim scenario`.

use std::{convert::Infallible, path::PathBuf};

use clap::Args;
use pisync_core::settings::Secret;

/// The settings of `scenario`: its name, and the servers to use.
#[derive(Debug, Clone, Args)]
pub struct ScenarioSettings {
    /// Scenario to play: content-release, isp-outage, own-outage, backfill, flapping, nobody-alerts, clock-1970,
    /// top-of-hour, silent-looks or part-looks
    pub name: String,
    /// Options of the scenario, such as --devices 2000 or --herd
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    pub more: Vec<String>,
    /// Redis to use, with a key prefix of its own; given before the scenario
    #[arg(long, env = "PISYNC_REDIS_URL", hide_env_values = true, default_value = "redis://127.0.0.1:6379")]
    #[arg(value_parser = address)]
    pub redis_url: Secret,
    /// `MongoDB` to use, with a database of its own; given before the scenario
    #[arg(long, env = "PISYNC_MONGO_URI", hide_env_values = true, default_value = "mongodb://127.0.0.1:27017")]
    #[arg(value_parser = address)]
    pub mongo_uri: Secret,
    /// Folder of `redis-cli`
    #[arg(long, env = "PISYNC_TEST_BIN", default_value = "/usr/bin")]
    pub redis_bin: PathBuf,
}

/// Accepts any text: the player checks the address.
#[expect(clippy::unnecessary_wraps, reason = "it is what clap wants")]
fn address(text: &str) -> Result<Secret, Infallible> {
    Ok(Secret::new(text))
}
