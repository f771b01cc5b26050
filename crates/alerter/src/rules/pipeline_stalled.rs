//! `PipelineStalled`: reports do not reach the store that the other rules read.

use futures_util::FutureExt;
use jiff::{SignedDuration, Timestamp};
use pisync_core::{
    models::{Alert, AlertName, FleetStats, Subject},
    presence::Liveness,
};
use serde::{Deserialize, Serialize};

use super::{About, Rule};
use crate::{
    evaluation::{Evaluation, Health},
    snapshot::{ReadError, Snapshot},
    tables::values,
};

pub(super) const RULE: Rule = Rule {
    name: AlertName::PIPELINE_STALLED,
    inhibited_by: &[],
    about: About::Fleet { digest_of: None },
    evaluate: |snapshot, rules| evaluate(snapshot, &rules.pipeline_stalled).boxed(),
    message: include_str!("pipeline_stalled.txt"),
};

/// The limits of the waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// The maximum time for which an event may wait.
    #[serde(deserialize_with = "values::length")]
    pub longest_wait: SignedDuration,
    /// The maximum time without a heartbeat of any worker, or of any API.
    #[serde(deserialize_with = "values::length")]
    pub longest_absence: SignedDuration,
    /// The healthy time after which it is over.
    #[serde(deserialize_with = "values::length")]
    pub clears_after: SignedDuration,
}

impl Default for Settings {
    fn default() -> Self {
        let minutes = SignedDuration::from_mins;
        Self { longest_wait: minutes(5), longest_absence: minutes(2), clears_after: minutes(5) }
    }
}

impl Settings {
    /// Returns the stalls and their minutes, by the name of the fact. The oldest waiting event was received at
    /// `oldest`.
    fn stalls(&self, oldest: Option<Timestamp>, liveness: &Liveness, now: Timestamp) -> Vec<(&'static str, i64)> {
        let too_long = |(fact, at, longest): (_, Option<Timestamp>, _)| {
            let length = now.duration_since(at?);
            (length > longest).then_some((fact, length.as_mins()))
        };
        let facts = [
            ("noWorkerMinutes", liveness.worker, self.longest_absence),
            ("noIngestMinutes", liveness.ingest, self.longest_absence),
            ("oldestWaitsMinutes", oldest, self.longest_wait),
        ];
        facts.into_iter().filter_map(too_long).collect()
    }
}

/// Evaluates the age of the oldest event, and the heartbeats.
async fn evaluate(snapshot: &Snapshot, rule: &Settings) -> Result<Vec<Evaluation>, ReadError> {
    let (liveness, now) = (snapshot.liveness().await?, snapshot.now);
    let partitions = snapshot.source.queue.status_of_all().await?;
    let oldest = partitions.iter().filter_map(|partition| Some(partition.oldest.as_ref()?.received_at)).min();
    let stalls = rule.stalls(oldest, liveness, now);
    let waiting = partitions.iter().map(|partition| partition.ready).sum();
    let mut alert = Alert::new(RULE.name, Subject::Fleet, now);
    let health = Health::unhealthy_if(!stalls.is_empty());
    alert.finding = Some(FleetStats::new(waiting, waiting).with(stalls));
    Ok(vec![Evaluation { clears_after: rule.clears_after, ..Evaluation::new(alert, health, now) }])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stalls_when_an_event_waits_too_long_or_nobody_is_heard_of() {
        let at = |second| Some(Timestamp::from_second(second).unwrap());
        let settings = Settings::default();
        for (oldest, worker, ingest, stalls) in [
            (None, at(9_999), at(9_999), vec![]),
            (at(9_700), at(9_880), at(9_880), vec![]),
            (at(9_699), at(9_999), at(9_999), vec![("oldestWaitsMinutes", 5)]),
            (None, at(9_879), at(9_999), vec![("noWorkerMinutes", 2)]),
            (None, at(9_999), at(9_000), vec![("noIngestMinutes", 16)]),
            (at(9_000), at(9_000), at(9_999), vec![("noWorkerMinutes", 16), ("oldestWaitsMinutes", 16)]),
            // A system that was just installed.
            (None, None, None, vec![]),
            (at(9_000), None, None, vec![("oldestWaitsMinutes", 16)]),
        ] {
            let liveness = Liveness { worker, ingest, ..Liveness::default() };
            let found = settings.stalls(oldest, &liveness, at(10_000).unwrap());
            assert_eq!(found, stalls, "{oldest:?} {worker:?} {ingest:?}");
        }
    }
}
