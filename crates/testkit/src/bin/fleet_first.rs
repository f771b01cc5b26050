//! `fleet_first`: plays a scenario of a fleet; `scripts/fleet-first` starts its servers.

use std::process::ExitCode;

use pisync_core::settings;
use testkit::fleet_first::{self, Settings};

#[tokio::main]
async fn main() -> anyhow::Result<ExitCode> {
    let settings: Settings = settings::parse();
    let is_right = fleet_first::run(&settings).await?;
    Ok(if is_right { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
