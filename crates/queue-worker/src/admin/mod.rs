//! The operator's verbs: they show and change the queue and the counters, and end.

mod counters;
mod dead_letters;
mod queue;
mod repartition;

use comfy_table::{Table, presets::UTF8_FULL_CONDENSED};
use pisync_core::{queue::Queue, settings::RedisSettings, store::Store};
use serde_json::Value;

use crate::config::{Command, QueueCommand};

/// Does what the operator asks.
///
/// Fails where a server does not answer or what was named is not there.
pub async fn run(command: Command, redis: &RedisSettings, of: &Queue, store: &Store) -> anyhow::Result<()> {
    match command {
        Command::Queue(QueueCommand::Status(output)) => queue::status(of, output).await,
        Command::Queue(QueueCommand::Pause) => queue::pause(of).await,
        Command::Queue(QueueCommand::Resume) => queue::resume(of).await,
        Command::Queue(QueueCommand::Repartition { number, wait }) => repartition::run(redis, number, wait).await,
        Command::DeadLetters(command) => dead_letters::run(command, of, store).await,
        Command::Counters(command) => counters::run(command, of, store).await,
        // They need no server, and were done before one was looked for.
        Command::Probe | Command::Healthcheck(_) => Ok(()),
    }
}

/// The answer to the operator.
#[expect(clippy::print_stdout, reason = "it is what was asked for")]
fn say(answer: impl std::fmt::Display) {
    println!("{answer}");
}

fn table<const N: usize>(header: [&str; N]) -> Table {
    let mut table = Table::new();
    table.load_preset(UTF8_FULL_CONDENSED).set_header(header);
    table
}

fn say_json(answer: &Value) {
    say(answer);
}
