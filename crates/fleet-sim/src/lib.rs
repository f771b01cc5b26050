//! Posts what a fleet of devices would, keeps a ledger of what the API acknowledged, and compares
//! the ledger with what `MongoDB` holds.
//!
//! In reading order:
//! - [`config`]: the verbs and their flags.
//! - [`fleet`]: what each device reports, by the seed; its [`labels`].
//! - [`client`]: one body, from the device into the API, with its retries.
//! - [`workers`]: many bodies at once; their [`stats`] and the [`ledger`] of what was acknowledged.
//! - [`simulate`], [`replay`], [`verify`]: the verbs.
//! - [`fill`], [`load`], [`latency`]: the verbs of the benchmark.
//! - [`sizes`]: bytes of rows and indexes.
//! - [`scenario`]: stories on a simulated clock, which another program plays.
//! - [`report`]: the closing table.

pub mod client;
pub mod config;
pub mod fill;
pub mod fleet;
pub mod labels;
pub mod latency;
pub mod ledger;
pub mod load;
pub mod replay;
pub mod report;
pub mod scenario;
pub mod simulate;
pub mod sizes;
pub mod stats;
pub mod verify;
pub mod workers;

use std::process::ExitCode;

use crate::config::Command;

/// Does what the command says.
///
/// Succeeds where every event was accepted, or the database is as the ledger says; the exit code
/// is 1 otherwise. Fails where a file cannot be used or `MongoDB` does not answer.
pub async fn run(command: Command) -> anyhow::Result<ExitCode> {
    let good = match command {
        Command::Run(settings) => simulate::run(settings).await?,
        Command::Replay(settings) => replay::run(settings).await?,
        Command::Verify(settings) => verify::run(settings).await?,
        Command::Fill(settings) => fill::run(settings).await?,
        Command::Load(settings) => load::run(settings).await?,
        Command::Latency(settings) => latency::run(settings).await?,
        Command::Scenario(settings) => scenario::run(settings).await?,
        Command::Sizes(settings) => sizes::run(settings).await?,
    };
    Ok(if good { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
