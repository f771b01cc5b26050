//! `FleetDigest`: some time after the fleet was well again, who is still failing, once.

use jiff::{SignedDuration, Timestamp};
use pisync_core::{
    models::{Alert, AlertName, DeviceId, Finding, Subject},
    store::StoreError,
};

use super::{Fleet, Judged};
use crate::rules::{holding::Episode, verdict::Verdict};

/// How many devices a digest names; the rest is counted.
const NAMED: usize = 50;

impl Fleet {
    /// Opens the digests that are due, and ends those of which no device is failing any more;
    /// answers whether any was looked at.
    pub(super) async fn tell_digests(&self, episodes: &[Episode], now: Timestamp) -> Result<bool, StoreError> {
        let mut has_looked = false;
        let is_told = |part: &Episode| episodes.iter().any(|whole| whole.speaks_for(part));
        for episode in episodes.iter().filter(|episode| episode.digest_is_due(now) && !is_told(episode)) {
            has_looked |= self.tell_digest(episode, now).await?;
        }
        Ok(has_looked)
    }

    async fn tell_digest(&self, episode: &Episode, now: Timestamp) -> Result<bool, StoreError> {
        let Some(over) = episode.over else { return Ok(false) };
        let alert = Alert::new(AlertName::FleetDigest, Subject::After(episode.id), over.digest_at);
        let before = self.store.alerts().find(alert.id).await?;
        if before.as_ref().is_some_and(|kept| !kept.incident.is_open()) {
            return Ok(false);
        }
        let still = self.store.alerts().devices_open(episode.holds, episode.begins(), over.ends_at).await?;
        let still = self.of_episode(episode, still).await?;
        let verdict = if still.is_empty() { Verdict::Well } else { Verdict::Wrong };
        let alert = naming(alert, episode, still);
        let judged = Judged {
            alert,
            verdict,
            clears_after: SignedDuration::ZERO,
            inhibited_by: None,
            follows: episode.scope.clone(),
        };
        self.settle(before, judged, now).await?;
        Ok(verdict == Verdict::Wrong)
    }

    /// Those of these devices that an episode is about.
    async fn of_episode(&self, episode: &Episode, devices: Vec<DeviceId>) -> Result<Vec<DeviceId>, StoreError> {
        if episode.scope.is_none() {
            return Ok(devices);
        }
        let labels = self.store.sync_events().newest_labels(&devices.iter().collect::<Vec<_>>()).await?;
        Ok(labels.into_iter().filter(|(_, labels)| episode.is_about(labels)).map(|(device, _)| device).collect())
    }
}

fn naming(mut alert: Alert, episode: &Episode, mut still: Vec<DeviceId>) -> Alert {
    let count = still.len();
    still.sort_unstable();
    still.truncate(NAMED);
    alert.failure_count = i32::try_from(count).unwrap_or(i32::MAX);
    let detail = episode.scope.as_ref().map(ToString::to_string);
    alert.finding =
        Some(Finding { part: count as u64, whole: count as u64, detail, changed: Vec::new(), named: still });
    alert
}
