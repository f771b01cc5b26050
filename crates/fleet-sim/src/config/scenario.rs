//! The flags of `fleet-sim scenario`.

use std::{convert::Infallible, path::PathBuf};

use clap::Args;
use pisync_core::settings::Secret;

/// Which story to play, and on which servers.
#[derive(Debug, Clone, Args)]
pub struct ScenarioSettings {
    /// Which story: content-release, isp-outage, own-outage, backfill, flapping, nobody-alerts, clock-1970, top-of-hour,
    /// silent-looks or part-looks
    pub name: String,
    /// What else the story is told, such as --devices 2000 or --herd
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    pub more: Vec<String>,
    /// Redis to play on, under names of its own; given before the story
    #[arg(long, env = "PISYNC_REDIS_URL", hide_env_values = true, default_value = "redis://127.0.0.1:6379")]
    #[arg(value_parser = address)]
    pub redis_url: Secret,
    /// `MongoDB` to play on, in a database of its own; given before the story
    #[arg(long, env = "PISYNC_MONGO_URI", hide_env_values = true, default_value = "mongodb://127.0.0.1:27017")]
    #[arg(value_parser = address)]
    pub mongo_uri: Secret,
    /// Where `redis-cli` is
    #[arg(long, env = "PISYNC_TEST_BIN", default_value = "/usr/bin")]
    pub redis_bin: PathBuf,
}

/// Any text: whether it is an address is for the player to say.
#[expect(clippy::unnecessary_wraps, reason = "it is what clap wants")]
fn address(text: &str) -> Result<Secret, Infallible> {
    Ok(Secret::new(text))
}
