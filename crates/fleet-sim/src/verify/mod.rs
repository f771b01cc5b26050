//! `fleet-sim verify`: compares a ledger with what `MongoDB` holds.
//!
//! [`expect`] is what the ledger says, [`compare`] a pure comparison of it with rows and counters,
//! [`fold`] the failure count as an auditor would take it from the rows, [`finding`] what comes out.

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

/// The shortest rest before looking again.
const PAUSE: Duration = Duration::from_millis(250);

/// Compares, prints what was found, and says whether all is well.
///
/// Fails where the ledger cannot be read or holds nothing, or `MongoDB` does not answer in time; a
/// ledger that is not there ends the process with status 2.
pub async fn run(settings: VerifySettings) -> anyhow::Result<bool> {
    let deadline = Instant::now() + Duration::from_secs(settings.wait);
    let expectations = read_ledger(&settings)?;
    let store = Store::open(&settings.mongo, "fleet-sim").await.context("opening the store")?;
    let findings = settle(&store, &expectations, deadline).await.context("reading the store")?;
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

/// Compares until all is well or the time is over: rows come before their counters, and both
/// some time after the 202. It rests at least as long as it looks, since the services need the
/// server too.
async fn settle(store: &Store, expectations: &Expectations, deadline: Instant) -> Result<Findings, StoreError> {
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

/// Compares once, with all rows and all counters as they stream by.
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
