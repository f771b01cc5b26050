//! The operator's commands: they show and change the queue and the counters, and end.

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

/// The operator's commands.
#[derive(Debug, Clone, Subcommand)]
pub enum Command {
    /// Show queue depth and in-flight batches, pause and resume, change the number of partitions
    #[command(subcommand)]
    Queue(QueueCommand),
    /// Manage dead letters
    #[command(subcommand)]
    DeadLetters(DeadLettersCommand),
    /// Rebuild failure counters from the rows
    #[command(subcommand)]
    Counters(CountersCommand),
    /// Check the health of the process at --ops-bind of this machine: exit status 0 if healthy, 1 if not
    Healthcheck(Healthcheck),
    /// Read messages from standard input: the child process of a poison check
    #[command(hide = true)]
    Probe,
}

/// The output format.
#[derive(Debug, Clone, Copy, Args)]
pub struct Output {
    /// Print JSON instead of a table
    #[arg(long)]
    pub json: bool,
}

/// Runs a command of the operator.
///
/// Fails if a server does not answer or the named thing does not exist.
pub async fn run(command: Command, redis: &RedisSettings, of: &Queue, store: &Store) -> anyhow::Result<()> {
    match command {
        Command::Queue(command) => command.run(redis, of).await,
        Command::DeadLetters(command) => command.run(of, store).await,
        Command::Counters(command) => command.run(of, store).await,
        // These need no server and were handled before one was opened.
        Command::Probe | Command::Healthcheck(_) => Ok(()),
    }
}

/// Prints an answer to standard output.
#[expect(clippy::print_stdout, reason = "it is what was asked for")]
fn say(answer: impl std::fmt::Display) {
    println!("{answer}");
}

/// Fails with the errors of the partitions that did not answer. Call it after the other answers are printed.
fn require_all(unavailable: Vec<(Partition, QueueError)>) -> anyhow::Result<()> {
    let reasons: Vec<_> =
        unavailable.iter().map(|(partition, error)| format!("partition {}: {error}", partition.number())).collect();
    match unavailable.into_iter().next() {
        None => Ok(()),
        Some((_, first)) => Err(anyhow::Error::new(first).context(format!("not complete: {}", reasons.join("; ")))),
    }
}

fn table<const N: usize>(header: [&str; N]) -> Table {
    let mut table = Table::new();
    table.load_preset(UTF8_FULL_CONDENSED).set_header(header);
    table
}

/// Returns a text of unknown origin as safe for a terminal. Control characters and invisible characters are
/// escaped.
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
