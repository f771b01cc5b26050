//! The operator's verbs: they show and change the queue and the counters, and end.

mod counters;
mod dead_letters;
mod queue;
mod repartition;

use clap::{Args, Subcommand};
use comfy_table::{Table, presets::UTF8_FULL_CONDENSED};
use pisync_core::{
    healthcheck::Healthcheck,
    queue::{Partition, Queue, QueueError},
    settings::RedisSettings,
    store::Store,
};
use serde_json::Value;

use self::{counters::CountersCommand, dead_letters::DeadLettersCommand, queue::QueueCommand};

/// The operator's verbs.
#[derive(Debug, Clone, Subcommand)]
pub enum Command {
    /// Show the queue, or stop and start the handing out of batches
    #[command(subcommand)]
    Queue(QueueCommand),
    /// Show and treat messages that cannot have their effect
    #[command(subcommand)]
    DeadLetters(DeadLettersCommand),
    /// Make failure counters from the rows again
    #[command(subcommand)]
    Counters(CountersCommand),
    /// Ask the process at --ops-bind of this machine whether it is well: 0 if so, 1 if not
    Healthcheck(Healthcheck),
    /// Read messages from standard input: what a worker has a child do
    #[command(hide = true)]
    Probe,
}

/// The form of an answer.
#[derive(Debug, Clone, Copy, Args)]
pub struct Output {
    /// JSON for scripts instead of a table for people
    #[arg(long)]
    pub json: bool,
}

/// Does what the operator asks.
///
/// Fails where a server does not answer or what was named is not there.
pub async fn run(command: Command, redis: &RedisSettings, of: &Queue, store: &Store) -> anyhow::Result<()> {
    match command {
        Command::Queue(command) => command.run(redis, of).await,
        Command::DeadLetters(command) => command.run(of, store).await,
        Command::Counters(command) => command.run(of, store).await,
        // They need no server, and were done before one was looked for.
        Command::Probe | Command::Healthcheck(_) => Ok(()),
    }
}

/// The answer to the operator.
#[expect(clippy::print_stdout, reason = "it is what was asked for")]
fn say(answer: impl std::fmt::Display) {
    println!("{answer}");
}

/// Fails with the reasons of the partitions that told nothing, after what the others told was said.
fn told_all(untold: Vec<(Partition, QueueError)>) -> anyhow::Result<()> {
    let reasons: Vec<_> =
        untold.iter().map(|(partition, error)| format!("partition {}: {error}", partition.number())).collect();
    match untold.into_iter().next() {
        None => Ok(()),
        Some((_, first)) => Err(anyhow::Error::new(first).context(format!("not complete: {}", reasons.join("; ")))),
    }
}

fn table<const N: usize>(header: [&str; N]) -> Table {
    let mut table = Table::new();
    table.load_preset(UTF8_FULL_CONDENSED).set_header(header);
    table
}

/// A text that others chose, for a terminal: what would move its cursor or change its colours is written
/// out, and so are characters that cannot be seen.
fn shown(text: &str) -> String {
    let is_shown = |c: char| {
        !(c.is_control()
            || matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}' | '\u{ad}'))
    };
    text.chars().flat_map(|c| if is_shown(c) { vec![c] } else { c.escape_unicode().collect() }).collect()
}

fn say_json(answer: &Value) {
    say(answer);
}

#[cfg(test)]
mod tests {
    use super::shown;

    #[test]
    fn nothing_that_others_chose_speaks_to_the_terminal() {
        assert_eq!(shown("a\u{1b}[2Jb\nc\u{202e}d\u{7f}"), r"a\u{1b}[2Jb\u{a}c\u{202e}d\u{7f}");
        assert_eq!(shown("Grüße, 42 % – ok"), "Grüße, 42 % – ok");
    }
}
