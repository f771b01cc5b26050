//! The operator's commands: each answers and ends. Those about the routing file need no server.

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
    /// Say whether a config file is right: 0 if it is, 2 with lines and keys if not
    CheckConfig {
        /// The file
        file: PathBuf,
    },
    /// Send the two messages of a made-up incident to a receiver of the config
    Test {
        /// The name of the receiver
        receiver: String,
    },
    /// Ask the process at --ops-bind of this machine whether it is well: 0 if so, 1 if not
    Healthcheck(Healthcheck),
    /// Manage silences
    #[command(subcommand)]
    Silence(SilenceCommand),
}

impl Command {
    /// Does what the operator asks; opens what that needs.
    ///
    /// Fails where a server does not answer, or what was named is not there.
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

/// Says whether a config file is right; one that is not ends the process with status 2.
fn check_config(file: &Path) {
    let config =
        RoutingFile::read(file).unwrap_or_else(|problems| settings::reject(format_args!("not right:\n{problems:#}")));
    let (receivers, routes) = (config.receivers.len(), config.routes.len());
    say(format_args!("{}: right; receivers {receivers} and the log, routes {routes}", file.display()));
}

/// The answer to the operator.
#[expect(clippy::print_stdout, reason = "it is what was asked for")]
fn say(answer: impl std::fmt::Display) {
    println!("{answer}");
}
