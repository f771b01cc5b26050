//! The operator's commands: they answer and end. Those about the routing file need no server.

mod silence;
mod trial;

use std::path::Path;

use pisync_core::settings;

pub(crate) use self::silence::silence;
use crate::{
    config::Config,
    routing::{Routing, RoutingFile},
};

/// Says whether a config file is right; one that is not ends the process with status 2.
pub(crate) fn check_config(file: &Path) {
    let config = RoutingFile::read(file).unwrap_or_else(|problems| {
        settings::reject(&mut <Config as clap::CommandFactory>::command(), format_args!("not right:\n{problems:#}"))
    });
    let (receivers, routes) = (config.receivers.len(), config.routes.len());
    say(format_args!("{}: right; receivers {receivers} and the log, routes {routes}", file.display()));
}

/// Sends a test message.
pub(crate) async fn test(receivers: &Routing, name: &str) -> anyhow::Result<()> {
    say(trial::run(receivers, name).await?);
    Ok(())
}

/// The answer to the operator.
#[expect(clippy::print_stdout, reason = "it is what was asked for")]
fn say(answer: impl std::fmt::Display) {
    println!("{answer}");
}
