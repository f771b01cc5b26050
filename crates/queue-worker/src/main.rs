//! `queue-worker`: claims batches from the queue, writes rows and keeps counters.

use std::process::ExitCode;

use pisync_core::{exit, settings};
use queue_worker::config::Config;

fn main() -> ExitCode {
    let config: Config = settings::parse();
    exit::code(queue_worker::run(config))
}
