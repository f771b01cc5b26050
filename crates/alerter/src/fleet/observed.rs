//! Looking at each rule of the fleet in turn, and at the pipeline.

use jiff::{SignedDuration, Timestamp};
use pisync_core::{
    models::{Alert, AlertId, AlertName, Finding, Subject},
    queue::{LastSeen, Pulse, QueueError, Signs},
    store::{KeptIncident, StoreError},
};

use super::{Fleet, Judged};
use crate::rules::pipeline_stalled::Pipeline;

/// How long ago a device may have been heard of to count as part of the fleet.
const PART_OF_IT: SignedDuration = SignedDuration::from_hours(24);

impl Fleet {
    /// Looks at each rule of the fleet in turn.
    pub(super) async fn look_at_rules(&self, now: Timestamp) -> Result<(), StoreError> {
        self.look_at_failing(now).await?;
        let Some(signs) = note("who is alive", Pulse::new(self.queue.clone()).signs().await) else { return Ok(()) };
        self.look_at_pipeline(&signs, now).await?;
        self.look_at_silence(&signs, now).await
    }

    async fn look_at_pipeline(&self, signs: &Signs, now: Timestamp) -> Result<(), StoreError> {
        let rule = self.receivers.rules().pipeline_stalled;
        let Some(status) = note("what is queued", self.queue.status_of_all().await) else { return Ok(()) };
        let oldest = status.iter().filter_map(|partition| Some(partition.oldest.as_ref()?.received_at)).min();
        let pipeline = Pipeline { oldest, worker: signs.worker, ingest: signs.ingest };
        let mut alert = Alert::new(AlertName::PipelineStalled, Subject::Fleet, now);
        let stalls: Vec<_> = rule.stalls(&pipeline, now).iter().map(ToString::to_string).collect();
        let waiting = status.iter().map(|partition| partition.ready).sum();
        alert.finding = Some(Finding {
            part: waiting,
            whole: waiting,
            detail: Some(stalls.join("; ")),
            changed: Vec::new(),
            named: Vec::new(),
        });
        let before = self.last(alert.own_fingerprint(), now).await?;
        let (verdict, clears_after) = (rule.judge(&pipeline, now), rule.clears_after);
        self.settle(before, Judged { alert, verdict, clears_after, inhibited_by: None, follows: None }, now).await
    }

    /// The alert that the pipeline stalls, while it is open.
    pub(crate) async fn stalled(&self) -> Result<Option<AlertId>, StoreError> {
        let open = self.store.alerts().open_of_rule(AlertName::PipelineStalled).await?;
        Ok(open.first().map(|kept| kept.incident.alert.id))
    }

    pub(super) async fn size(&self, now: Timestamp) -> Result<u64, QueueError> {
        LastSeen::new(self.queue.clone()).count_since(now - PART_OF_IT).await
    }
}

pub(super) fn is_open(before: Option<&KeptIncident>) -> bool {
    before.is_some_and(|kept| kept.incident.is_open())
}

/// What Redis says, if it says anything.
pub(super) fn note<T>(what: &str, answer: Result<T, QueueError>) -> Option<T> {
    answer.inspect_err(|error| log::warn!(error:% = error; "{what} is not known: the fleet is not looked at")).ok()
}
