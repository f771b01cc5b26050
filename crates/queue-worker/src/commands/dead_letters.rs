//! `dead-letters list|show|requeue|purge|export`.

use std::{
    fs::File,
    io::Write,
    path::{Path, PathBuf},
};

use anyhow::{Context, bail};
use clap::{Args, Subcommand};
use pisync_core::{
    queue::{BuriedLetter, Each, Queue},
    store::Store,
    time::rfc3339,
};
use serde_json::{Value, json};

use super::{Output, require_all, say, say_json, shown, table};

/// Commands for the dead letters.
#[derive(Debug, Clone, Subcommand)]
pub enum DeadLettersCommand {
    /// List the newest dead letters of every partition
    List {
        /// Maximum number of dead letters to show, 1 to 1000000
        #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
        max: u32,
        /// The output format.
        #[command(flatten)]
        output: Output,
    },
    /// Show one dead letter with its original bytes
    Show {
        /// Id of the dead letter
        id: String,
        /// The output format.
        #[command(flatten)]
        output: Output,
    },
    /// Requeue messages at the end of the queue, as if they had just come
    Requeue(Which),
    /// Delete dead letters
    Purge(Which),
    /// Export all dead letters as JSON, one per line
    Export {
        /// The file; standard output if omitted
        #[arg(long)]
        file: Option<PathBuf>,
    },
}

/// A selection of dead letters.
#[derive(Debug, Clone, Args)]
#[group(required = true, multiple = false)]
pub struct Which {
    /// Ids of dead letters
    pub ids: Vec<String>,
    /// All dead letters
    #[arg(long)]
    pub all: bool,
}

impl DeadLettersCommand {
    pub(super) async fn run(self, queue: &Queue, store: &Store) -> anyhow::Result<()> {
        match self {
            Self::List { max, output } => list(queue, store, max, output).await,
            Self::Show { id, output } => show(queue, &id, output).await,
            Self::Requeue(which) => {
                let mut moved = 0;
                let chosen = chosen(queue, &which).await?;
                for buried in chosen.available {
                    moved += usize::from(queue.requeue(&buried).await?);
                }
                say(format_args!("{moved} requeued at the end of the queue"));
                require_all(chosen.unavailable)
            }
            Self::Purge(which) => {
                let mut gone = 0;
                let chosen = chosen(queue, &which).await?;
                for buried in chosen.available {
                    gone += usize::from(queue.purge(&buried).await?);
                }
                say(format_args!("{gone} deleted"));
                require_all(chosen.unavailable)
            }
            Self::Export { file } => export(queue, file.as_deref()).await,
        }
    }
}

async fn list(queue: &Queue, store: &Store, max: u32, output: Output) -> anyhow::Result<()> {
    let max = max as usize;
    let Each { available: mut letters, unavailable } = all(queue, max).await?;
    letters.sort_by_key(|buried| std::cmp::Reverse(buried.letter.died_at));
    letters.truncate(max);
    if output.json {
        say_json(&letters.iter().map(as_json).collect());
        return require_all(unavailable);
    }
    let mut rows = table(["id", "partition", "reason", "attempt", "died at", "error"]);
    for BuriedLetter { partition, letter, .. } in &letters {
        rows.add_row([
            shown(&letter.id),
            partition.number().to_string(),
            letter.reason.to_string(),
            letter.attempt.to_string(),
            rfc3339(letter.died_at),
            shown(&letter.error),
        ]);
    }
    say(rows);
    let in_queue: u64 = queue.status_of_each().await?.available.iter().map(|status| status.dead).sum();
    // The store may be away; that must not hide the dead letters in the queue.
    let in_store = store.dead_letters().count().await.map_or_else(|error| error.to_string(), |count| count.to_string());
    say(format_args!("{} shown of {in_queue}; older ones in the collection DeadLetter: {in_store}", letters.len()));
    require_all(unavailable)
}

async fn show(queue: &Queue, id: &str, output: Output) -> anyhow::Result<()> {
    let which = Which { ids: vec![id.to_owned()], all: false };
    for buried in chosen(queue, &which).await?.available {
        if output.json {
            say_json(&as_json(&buried));
            continue;
        }
        let letter = &buried.letter;
        say(format_args!(
            "id         {}\npartition  {}\nreason     {}\nerror      {}\nattempt    {}\ndied at    {}\nmessage    {}",
            shown(&letter.id),
            buried.partition.number(),
            letter.reason,
            shown(&letter.error),
            letter.attempt,
            rfc3339(letter.died_at),
            letter.message.escape_ascii(),
        ));
    }
    Ok(())
}

async fn export(queue: &Queue, file: Option<&Path>) -> anyhow::Result<()> {
    let Each { available: letters, unavailable } = all(queue, usize::MAX).await?;
    let Some(path) = file else {
        for buried in &letters {
            say_json(&as_json(buried));
        }
        return require_all(unavailable);
    };
    let mut file = File::create(path).with_context(|| format!("creating {}", path.display()))?;
    for buried in &letters {
        writeln!(file, "{}", as_json(buried)).with_context(|| format!("writing {}", path.display()))?;
    }
    file.sync_all()?;
    say(format_args!("{} written to {}", letters.len(), path.display()));
    require_all(unavailable)
}

/// Returns the newest dead letters of each partition, up to `max` each.
///
/// Fails if no partition answers.
async fn all(queue: &Queue, max: usize) -> anyhow::Result<Each<BuriedLetter>> {
    let mut letters = Each { available: Vec::new(), unavailable: Vec::new() };
    for partition in queue.partitions() {
        match queue.dead_letters(partition, 0, max).await {
            Ok(found) => letters.available.extend(found),
            Err(error) => letters.unavailable.push((partition, error)),
        }
    }
    match letters.unavailable.first() {
        Some((_, error)) if letters.unavailable.len() == queue.partitions().len() => Err(error.clone().into()),
        _ => Ok(letters),
    }
}

/// Returns the selected dead letters.
///
/// Fails if one of the ids is not found.
async fn chosen(queue: &Queue, which: &Which) -> anyhow::Result<Each<BuriedLetter>> {
    let mut letters = all(queue, usize::MAX).await?;
    if which.all {
        return Ok(letters);
    }
    let is_there = |id: &str| letters.available.iter().any(|buried| buried.letter.id == id);
    let missing: Vec<_> = which.ids.iter().filter(|id| !is_there(id)).cloned().collect();
    if !missing.is_empty() {
        // It may be in a partition that does not answer.
        require_all(letters.unavailable)?;
        bail!("no dead letter {}", missing.join(", "));
    }
    letters.available.retain(|buried| which.ids.contains(&buried.letter.id));
    letters.unavailable.clear();
    Ok(letters)
}

fn as_json(buried: &BuriedLetter) -> Value {
    let mut json = json!(buried.letter);
    json["partition"] = buried.partition.number().into();
    json
}
