//! `alerter`: turns failure counters into alerts, one message per incident.

use alerter::config::Config;
use pisync_core::{logging, settings};

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    // Whatever speaks TLS uses it; only a second call could fail.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let config: Config = settings::parse();
    logging::init(config.log.log_format);
    alerter::run(config).await
}
