//! `queue-worker`: takes batches from the queue, writes rows and keeps counters.

use std::process::ExitCode;

use pisync_core::settings;
use queue_worker::config::Config;

#[tokio::main]
async fn main() -> ExitCode {
    let config: Config = settings::parse();
    settings::exit_code(queue_worker::run(config).await)
}
