//! The operator's commands: each prints its result and ends. Commands about the routing file need no server.

mod silence;
mod trial;

use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::Subcommand;
use pisync_core::{
    healthcheck::Healthcheck,
    ops::OpsSettings,
    settings::{self, MongoSettings},
    store::Store,
};

use self::silence::SilenceCommand;
use crate::routing::{Routing, RoutingFile};

/// The operator's commands.
#[derive(Debug, Clone, Subcommand)]
pub enum Command {
    /// Check a config file: exit status 0 if it is valid, 2 with lines and keys if not
    CheckConfig {
        /// The file
        file: PathBuf,
    },
    /// Send the firing and the resolved message of a made-up incident to a receiver of the config
    Test {
        /// The name of the receiver
        receiver: String,
    },
    /// Check the health of the process at --ops-bind of this machine: exit status 0 if healthy, 1 if not
    Healthcheck(Healthcheck),
    /// Manage silences
    #[command(subcommand)]
    Silence(SilenceCommand),
}

impl Command {
    /// Runs a command of the operator, and opens the servers or files that it needs.
    ///
    /// Fails if a server does not answer or the named thing does not exist.
    pub(crate) async fn run(
        self,
        mongo: &MongoSettings,
        ops: &OpsSettings,
        routing: impl FnOnce() -> anyhow::Result<Routing>,
    ) -> anyhow::Result<()> {
        match self {
            Self::CheckConfig { file } => check_config(&file),
            Self::Test { receiver } => say(trial::run(&routing()?, &receiver).await?),
            Self::Healthcheck(healthcheck) => ops.ask(healthcheck)?,
            Self::Silence(command) => {
                command.run(&Store::open(mongo, "alerter").await.context("opening the store")?).await?;
            }
        }
        Ok(())
    }
}

/// Checks a config file. An invalid one ends the process with status 2.
fn check_config(file: &Path) {
    let config = RoutingFile::read(file)
        .unwrap_or_else(|problems| settings::reject(format_args!("invalid config:\n{problems:#}")));
    let (receivers, routes) = (config.receivers.len(), config.routes.len());
    say(format_args!("{}: valid; receivers {receivers} and the log, routes {routes}", file.display()));
}

/// Prints an answer to standard output.
#[expect(clippy::print_stdout, reason = "it is what was asked for")]
fn say(answer: impl std::fmt::Display) {
    println!("{answer}");
}
