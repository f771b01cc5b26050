//! `fleet-sim verify`: compares a ledger with `MongoDB`.
//!
//! [`expect`] has the expected rows by the ledger, [`compare`] a pure comparison with rows and counters, [`fold`] the
//! failure count by the rows, [`finding`] the result.

pub mod compare;
pub mod expect;
pub mod finding;
pub mod fold;

use std::{fs::File, io::BufReader, time::Duration};

use anyhow::{Context, ensure};
use futures_util::{StreamExt, TryStreamExt};
use pisync_core::{
    settings,
    store::{Store, StoreError},
};
use tokio::time::{Instant, sleep};

use self::{compare::Comparison, expect::Expectations, finding::Findings};
use crate::{config::VerifySettings, ledger, report};

/// The minimum pause between two comparisons.
const PAUSE: Duration = Duration::from_millis(250);

/// Compares and prints the findings. Returns true if there is no fault.
///
/// Fails if the ledger cannot be read or is empty, or if `MongoDB` does not answer in time. A missing ledger ends the
/// process with status 2.
pub async fn run(settings: VerifySettings) -> anyhow::Result<bool> {
    let deadline = Instant::now() + Duration::from_secs(settings.wait);
    let expectations = read_ledger(&settings)?;
    let store = Store::open(&settings.mongo, "fleet-sim").await.context("opening the store")?;
    let findings = compare_until(&store, &expectations, deadline).await.context("reading the store")?;
    report::print(settings.json, &findings, findings.rows())?;
    Ok(findings.is_clean())
}

fn read_ledger(settings: &VerifySettings) -> anyhow::Result<Expectations> {
    let path = settings.ledger.display();
    let file =
        File::open(&settings.ledger).unwrap_or_else(|error| settings::reject(format_args!("--ledger {path}: {error}")));
    let mut expectations = Expectations::default();
    ledger::read(BufReader::new(file), |entry| expectations.add(&entry)).with_context(|| path.to_string())?;
    // A comparison with nothing would always succeed, and prove nothing.
    ensure!(!expectations.is_empty(), "the ledger {path} holds no events: there is nothing to compare");
    Ok(expectations)
}

/// Compares until there is no fault or the deadline is over: rows come before their counters, and both after the 202.
/// It pauses at least as long as it reads, since the services need the server too.
async fn compare_until(store: &Store, expectations: &Expectations, deadline: Instant) -> Result<Findings, StoreError> {
    loop {
        let began = Instant::now();
        let is_last = began >= deadline;
        match examine(store, expectations).await {
            Ok(findings) if findings.is_clean() || is_last => return Ok(findings),
            Err(error) if is_last => return Err(error),
            _ => sleep(began.elapsed().max(PAUSE).min(deadline - began)).await,
        }
    }
}

/// Compares once, with streams of all rows and all counters.
async fn examine(store: &Store, expectations: &Expectations) -> Result<Findings, StoreError> {
    let mut comparison = Comparison::new(expectations);
    let mut rows = store.sync_events().all().await?;
    while let Some(row) = rows.try_next().await? {
        comparison.row(&row);
    }
    let mut counters = store.failure_counters().all().await?;
    while let Some(kept) = counters.next().await.transpose()? {
        comparison.counter(&kept.counter);
    }
    Ok(comparison.finish())
}
