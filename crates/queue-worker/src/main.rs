//! `queue-worker`: takes batches from the queue, writes rows and keeps counters.

use pisync_core::{logging, settings};
use queue_worker::config::Config;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let config: Config = settings::parse();
    logging::init(config.log.log_format);
    queue_worker::run(config).await
}
