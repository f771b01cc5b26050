//! Posts the reports of a fleet of devices, keeps a ledger of the acknowledged events, and compares the ledger with
//! `MongoDB`.
//!
//! In reading order:
//! - [`config`]: the commands and their flags.
//! - [`fleet`]: the report of each device, by the seed; its [`labels`].
//! - [`client`]: the delivery of one body, with its retries.
//! - [`workers`]: many bodies at once; their [`stats`] and the [`ledger`] of acknowledged events.
//! - [`simulate`], [`replay`], [`verify`]: the commands.
//! - [`fill`], [`load`], [`latency`]: the commands of the benchmark.
//! - [`sizes`]: bytes of rows and indexes.
//! - [`scenario`]: scenarios on a simulated clock, which another program plays.
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

/// Runs a command.
///
/// Returns 0 if every event was accepted, or if the database agrees with the ledger, and 1 otherwise. Fails if a file
/// cannot be used or `MongoDB` does not answer.
// Not in `main.rs`: a library's asynchronous code is compiled where a runtime runs it, and would be compiled twice.
#[tokio::main]
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
