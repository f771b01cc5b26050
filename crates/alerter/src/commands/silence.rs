//! The operator's commands for silences: add, list, expire.

use anyhow::ensure;
use clap::Subcommand;
use comfy_table::{Table, presets::UTF8_FULL_CONDENSED};
use jiff::{SignedDuration, Timestamp};
use pisync_core::{
    models::{Matcher, Silence, SilenceEnd, SilenceId},
    settings,
    store::Store,
    time::rfc3339,
};
use serde_json::{Value, json};

use super::say;

/// The maximum number of silences in a list.
const LISTED: u32 = 1_000;

/// Commands for silences.
#[derive(Debug, Clone, Subcommand)]
pub enum SilenceCommand {
    /// Add a silence, and print how many devices and open alerts it matches
    Add {
        /// Matchers: label=value, label^=prefix or label=~regular-expression, all of which have to match; the
        /// labels are alertname, deviceId, and those of devices
        #[arg(required = true)]
        matchers: Vec<Matcher>,
        /// Duration, such as "2h" or "3d", up to ten years; until its alerts are resolved if omitted
        #[arg(long = "for", value_name = "DURATION", value_parser = duration)]
        lasts: Option<SignedDuration>,
        /// The reason
        #[arg(long)]
        comment: String,
        /// The author
        #[arg(long, env = "USER", default_value = "operator")]
        by: String,
    },
    /// List pending and active silences
    List {
        /// Include expired silences
        #[arg(long)]
        all: bool,
        /// Print one line of JSON per silence
        #[arg(long)]
        json: bool,
    },
    /// Expire a silence now
    Expire {
        /// Id of the silence
        #[arg(value_parser = silence_id)]
        id: SilenceId,
    },
}

impl SilenceCommand {
    pub(super) async fn run(self, store: &Store) -> anyhow::Result<()> {
        match self {
            Self::Add { matchers, lasts, comment, by } => add(store, matchers, lasts, comment, by).await,
            Self::List { all, json } => list(store, all, json).await,
            Self::Expire { id } => expire(store, id).await,
        }
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
    ensure!(store.silences().expire(id, Timestamp::now()).await?, "there is no pending or active silence {id}");
    say(format_args!("{id} expired"));
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

fn duration(text: &str) -> Result<SignedDuration, String> {
    let whole = settings::duration(text)?;
    let longest = SignedDuration::from_hours(24 * 3_660);
    let fits = whole > SignedDuration::ZERO && whole <= longest;
    fits.then_some(whole).ok_or_else(|| "must be longer than zero and at most ten years".into())
}

fn silence_id(text: &str) -> Result<SilenceId, String> {
    SilenceId::parse(text).ok_or_else(|| "an id has 24 hexadecimal digits".into())
}
