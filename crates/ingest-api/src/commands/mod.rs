//! The operator's commands, in place of serving: they do one thing and end.

mod healthcheck;
mod keys;

use crate::config::{Command, Config};

/// Does what the operator asks.
///
/// Fails if a file cannot be read or written, if what was named is not there, or if the process is not well.
pub fn run(command: &Command, config: &Config) -> anyhow::Result<()> {
    match command {
        Command::Keys(command) => keys::run(command, &config.keys),
        Command::Healthcheck(healthcheck) => Ok(healthcheck::run(*healthcheck, config.bind, &config.front)?),
    }
}
