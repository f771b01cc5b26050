//! `FleetDigest`: some time after the fleet recovered, who is still failing, once.

use std::collections::BTreeSet;

use futures_util::TryStreamExt;
use pisync_core::models::{Alert, AlertName, DeviceId, Finding, Subject};

use crate::{
    evaluation::{Evaluation, Health},
    inhibition::Episode,
    snapshot::{ReadError, Snapshot},
};

/// How many devices a digest names; the rest is counted.
const NAMED: usize = 50;

/// Evaluates the episodes whose digest is due. One of a part that failed with the whole is named in
/// the digest of the whole.
pub(crate) async fn evaluate(snapshot: &Snapshot) -> Result<Vec<Evaluation>, ReadError> {
    let episodes = &snapshot.inhibition.episodes;
    let mut found = Vec::new();
    for episode in episodes.iter().filter(|episode| episode.digest_is_due(snapshot.now)) {
        if !episodes.iter().any(|whole| whole.speaks_for(episode)) {
            found.extend(evaluation(snapshot, episode).await?);
        }
    }
    Ok(found)
}

async fn evaluation(snapshot: &Snapshot, episode: &Episode) -> Result<Option<Evaluation>, ReadError> {
    let Some(over) = episode.over else { return Ok(None) };
    let mut alert = Alert::new(AlertName::FleetDigest, Subject::After(episode.id), over.digest_at);
    if snapshot.open(&alert).is_none() && snapshot.incident(alert.id).await?.is_some() {
        return Ok(None);
    }
    let (count, named) = still_failing(snapshot, episode).await?;
    alert.failure_count = i32::try_from(count).unwrap_or(i32::MAX);
    let detail = episode.scope.as_ref().map(ToString::to_string);
    alert.finding = Some(Finding { part: count, whole: count, detail, changed: Vec::new(), named });
    let found = Evaluation::new(alert, Health::unhealthy_if(count > 0), snapshot.now);
    Ok(Some(Evaluation { follows: episode.scope.clone(), ..found }))
}

/// Returns how many devices of an episode still fail, and the first of them by name.
async fn still_failing(snapshot: &Snapshot, episode: &Episode) -> Result<(u64, Vec<DeviceId>), ReadError> {
    let Some(over) = episode.over else { return Ok((0, Vec::new())) };
    let mut devices = snapshot.devices_open(episode.inhibits, episode.begins(), over.ends_at).await?;
    let (mut count, mut named) = (0, BTreeSet::new());
    while let Some(mut page) = devices.try_next().await? {
        if episode.scope.is_some() {
            let labels = snapshot.labels(&page.iter().collect::<Vec<_>>()).await?;
            page.retain(|device| labels.get(device).is_some_and(|labels| episode.is_about(labels)));
        }
        count += page.len() as u64;
        named.extend(page);
        while named.len() > NAMED {
            named.pop_last();
        }
    }
    Ok((count, named.into_iter().collect()))
}
