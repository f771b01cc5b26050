//! The operator's commands, run instead of serving.

mod healthcheck;
mod keys;

use std::net::SocketAddr;

use clap::Subcommand;
use pisync_core::healthcheck::Healthcheck;

use self::keys::KeysCommand;
use crate::http::auth::KeySettings;

/// The operator's commands.
#[derive(Debug, Clone, Subcommand)]
pub enum Command {
    /// Create, list and revoke keys
    #[command(subcommand)]
    Keys(KeysCommand),
    /// Ask the process at --bind of this machine whether it is healthy: 0 if so, 1 if not
    Healthcheck(Healthcheck),
}

impl Command {
    /// Runs the command; `bind` is the address of the process, with or without TLS.
    ///
    /// Fails if a file cannot be read or written, if the named item does not exist, or if the process is
    /// unhealthy.
    pub fn run(&self, keys: &KeySettings, bind: SocketAddr, speaks_tls: bool) -> anyhow::Result<()> {
        match self {
            Self::Keys(command) => command.run(keys),
            Self::Healthcheck(healthcheck) => Ok(healthcheck::run(*healthcheck, bind, speaks_tls)?),
        }
    }
}
