//! `alerter`: turns failure counters into alerts, one message per incident.

use std::process::ExitCode;

use alerter::config::Config;
use pisync_core::{exit, settings};

fn main() -> ExitCode {
    // All TLS clients use it; only a second call could fail.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let config: Config = settings::parse();
    exit::code(alerter::run(config))
}
