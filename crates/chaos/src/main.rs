//! `chaos`: the kill matrix; `scripts/chaos` starts its servers.

use std::process::ExitCode;

use chaos::Settings;
use pisync_core::settings;

#[tokio::main]
async fn main() -> anyhow::Result<ExitCode> {
    // Set the process's provider for TLS; only a second call could fail.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let settings: Settings = settings::parse();
    let is_right = chaos::run(&settings).await?;
    Ok(if is_right { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
