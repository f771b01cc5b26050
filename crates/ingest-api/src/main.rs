//! `ingest-api`: accepts sync events over HTTP and queues them; makes and revokes keys.

use std::process::ExitCode;

use ingest_api::config::Config;
use pisync_core::{exit, settings};

// Faster at the many short-lived allocations of each request.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let config: Config = settings::parse();
    exit::code(run(config))
}

fn run(config: Config) -> anyhow::Result<()> {
    if let Some(command) = &config.command {
        return command.run(&config.keys, config.bind, config.front.tls_cert.is_some());
    }
    config.require_explicit_auth();
    ingest_api::run(config)
}
