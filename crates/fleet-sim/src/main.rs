//! `fleet-sim`: a simulated fleet of devices for tests, demos and benchmarks, with a check of the stored events.

use std::process::ExitCode;

use fleet_sim::config::Config;
use pisync_core::settings;

fn main() -> anyhow::Result<ExitCode> {
    // Set the process's provider for TLS; only a second call could fail.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let config: Config = settings::parse();
    fleet_sim::run(config.command)
}
