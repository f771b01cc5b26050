//! The operator's verbs about silences: they show and change what nobody wants to hear of.

use anyhow::ensure;
use comfy_table::{Table, presets::UTF8_FULL_CONDENSED};
use jiff::{SignedDuration, Timestamp};
use pisync_core::{
    models::{Matcher, Silence, SilenceEnd, SilenceId},
    store::Store,
    time::rfc3339,
};
use serde_json::{Value, json};

use super::say;
use crate::config::SilenceCommand;

/// The most silences in a list.
const LISTED: u32 = 1_000;

/// Does what the operator asks.
///
/// Fails where the store does not answer or what was named is not there.
pub(crate) async fn silence(command: SilenceCommand, store: &Store) -> anyhow::Result<()> {
    match command {
        SilenceCommand::Add { matchers, lasts, comment, by } => add(store, matchers, lasts, comment, by).await,
        SilenceCommand::List { all, json } => list(store, all, json).await,
        SilenceCommand::Expire { id } => expire(store, id).await,
    }
}

async fn add(
    store: &Store,
    matchers: Vec<Matcher>,
    lasts: Option<SignedDuration>,
    comment: String,
    by: String,
) -> anyhow::Result<()> {
    store.silences().ensure_index().await?;
    let now = Timestamp::now();
    let end = SilenceEnd::at_or_resolved(lasts.map(|lasts| now.checked_add(lasts)).transpose()?);
    let reach = store.silences().reach(&matchers).await?;
    let id = store.silences().new_id();
    store.silences().add(&Silence { id, matchers, starts_at: now, end, by, comment, created_at: now }).await?;
    say(format_args!("{id}: matches {} devices and {} open alerts", reach.devices, reach.open_alerts));
    Ok(())
}

async fn list(store: &Store, all: bool, json: bool) -> anyhow::Result<()> {
    let now = Timestamp::now();
    let silences =
        if all { store.silences().all(LISTED).await? } else { store.silences().not_over(now, LISTED).await? };
    if json {
        for silence in &silences {
            say(as_json(silence, now));
        }
        return Ok(());
    }
    let mut table = Table::new();
    table.load_preset(UTF8_FULL_CONDENSED).set_header(["id", "matchers", "from", "until", "by", "comment"]);
    for silence in &silences {
        table.add_row([
            silence.id.to_string(),
            matchers(silence).join(" "),
            rfc3339(silence.starts_at),
            silence.end.time().map_or_else(|| "resolved".into(), rfc3339),
            silence.by.clone(),
            silence.comment.clone(),
        ]);
    }
    say(table);
    Ok(())
}

async fn expire(store: &Store, id: SilenceId) -> anyhow::Result<()> {
    ensure!(store.silences().expire(id, Timestamp::now()).await?, "there is no silence {id} that is not over");
    say(format_args!("{id} is over"));
    Ok(())
}

fn as_json(silence: &Silence, now: Timestamp) -> Value {
    json!({
        "id": silence.id.to_string(),
        "matchers": matchers(silence),
        "startsAt": rfc3339(silence.starts_at),
        "endsAt": silence.end.time().map(rfc3339),
        "active": silence.is_active(now),
        "by": silence.by,
        "comment": silence.comment,
    })
}

fn matchers(silence: &Silence) -> Vec<String> {
    silence.matchers.iter().map(Matcher::to_string).collect()
}
