//! The operator's commands, in place of serving: they do one thing and end.

mod healthcheck;
mod keys;

use std::net::SocketAddr;

use clap::Subcommand;
use pisync_core::healthcheck::Healthcheck;

use self::keys::KeysCommand;
use crate::http::auth::KeySettings;

/// The operator's verbs.
#[derive(Debug, Clone, Subcommand)]
pub enum Command {
    /// Make, show and revoke keys
    #[command(subcommand)]
    Keys(KeysCommand),
    /// Ask the process at --bind of this machine whether it is well: 0 if so, 1 if not
    Healthcheck(Healthcheck),
}

impl Command {
    /// Does what the operator asks; `bind` is where the process listens, with or without TLS.
    ///
    /// Fails if a file cannot be read or written, if what was named is not there, or if the process is not well.
    pub fn run(&self, keys: &KeySettings, bind: SocketAddr, speaks_tls: bool) -> anyhow::Result<()> {
        match self {
            Self::Keys(command) => command.run(keys),
            Self::Healthcheck(healthcheck) => Ok(healthcheck::run(*healthcheck, bind, speaks_tls)?),
        }
    }
}
