//! `FleetDigest`: lists once the devices that are still failing some time after the fleet recovered.

use std::collections::BTreeSet;

use futures_util::{FutureExt, TryStreamExt};
use pisync_core::models::{Alert, AlertName, DeviceId, FleetStats, Subject};

pub(super) use super::NoSettings as Settings;
use super::{About, Rule};
use crate::{
    evaluation::{Evaluation, Health},
    inhibition::{Episode, Over},
    snapshot::{PAGE, ReadError, Snapshot},
};

pub(super) const RULE: Rule = Rule {
    name: AlertName::FLEET_DIGEST,
    inhibited_by: &[],
    about: About::Fleet { digest_of: None },
    evaluate: |snapshot, _| evaluate(snapshot).boxed(),
    message: include_str!("fleet_digest.txt"),
};

/// The maximum number of devices that a digest names; the rest is counted.
const NAMED: usize = 50;

/// Evaluates the episodes whose digest is due.
///
/// If a part failed with the whole, the digest of the whole lists its devices. An open digest whose episode
/// cannot be read any more is resolved, since its devices are unknown.
async fn evaluate(snapshot: &Snapshot) -> Result<Vec<Evaluation>, ReadError> {
    let episodes = &snapshot.inhibition.episodes;
    let mut found = Vec::new();
    for episode in episodes {
        if let Some((devices, over)) = episode.digest_due(snapshot.now)
            && !episodes.iter().any(|whole| whole.speaks_for(episode))
        {
            found.extend(evaluation(snapshot, episode, devices, over).await?);
        }
    }
    for Alert { subject, .. } in snapshot.open.values().map(|kept| &kept.incident.alert) {
        if let Subject::After(of) = subject
            && episodes.iter().all(|episode| episode.id != *of)
            && snapshot.source.store.alerts().find(*of).await?.is_none()
        {
            let alert = Alert::new(RULE.name, subject.clone(), snapshot.now);
            found.push(Evaluation::new(alert, Health::Healthy, snapshot.now));
        }
    }
    Ok(found)
}

async fn evaluation(
    snapshot: &Snapshot,
    episode: &Episode,
    devices: AlertName,
    over: Over,
) -> Result<Option<Evaluation>, ReadError> {
    let mut alert = Alert::new(RULE.name, Subject::After(episode.id), over.digest_at);
    if snapshot.open(&alert).is_none() && snapshot.source.store.alerts().find(alert.id).await?.is_some() {
        return Ok(None);
    }
    let (count, examples) = still_failing(snapshot, episode, devices, over).await?;
    alert.failure_count = i32::try_from(count).unwrap_or(i32::MAX);
    let scope = episode.scope.as_ref().map(|scope| ("scope", scope.to_string()));
    alert.finding = Some(FleetStats { examples, ..FleetStats::new(count, count).with(scope) });
    let found = Evaluation::new(alert, Health::unhealthy_if(count > 0), snapshot.now);
    Ok(Some(Evaluation { follows: episode.scope.clone(), ..found }))
}

/// Returns the number of devices of an episode that still fail, and the first of them by name.
async fn still_failing(
    snapshot: &Snapshot,
    episode: &Episode,
    devices: AlertName,
    over: Over,
) -> Result<(u64, Vec<DeviceId>), ReadError> {
    let alerts = snapshot.source.store.alerts();
    let mut devices = alerts.devices_open(devices, episode.begins(), over.ends_at, PAGE).await?;
    let (mut count, mut named) = (0, BTreeSet::new());
    while let Some(mut page) = devices.try_next().await? {
        if episode.scope.is_some() {
            let labels = snapshot.source.store.failure_counters().labels(&page.iter().collect::<Vec<_>>()).await?;
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
