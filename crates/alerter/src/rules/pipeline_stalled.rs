//! `PipelineStalled`: reports do not get through to where the other rules read.

use std::fmt;

use jiff::{SignedDuration, Timestamp};
use pisync_core::models::{Alert, AlertName, Finding, Subject};

use crate::{
    evaluation::{Evaluation, Health},
    routing::rules::PipelineStalled,
    snapshot::{ReadError, Snapshot},
};

/// The state of the pipeline.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Pipeline {
    /// When the event that waits longest was received.
    oldest: Option<Timestamp>,
    /// When a worker was last heard of; none where there never was one.
    worker: Option<Timestamp>,
    /// When an API was last heard of; none where there never was one.
    ingest: Option<Timestamp>,
}

/// What is wrong with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stall {
    /// An event waits for so long.
    Waits(SignedDuration),
    /// No worker was heard of for so long.
    NoWorker(SignedDuration),
    /// No API was heard of for so long.
    NoIngest(SignedDuration),
}

impl PipelineStalled {
    /// Returns what is wrong, the most telling first.
    fn stalls(&self, pipeline: &Pipeline, now: Timestamp) -> Vec<Stall> {
        let since =
            |at: Option<Timestamp>, longest| at.map(|at| now.duration_since(at)).filter(|length| *length > longest);
        [
            since(pipeline.worker, self.longest_absence).map(Stall::NoWorker),
            since(pipeline.ingest, self.longest_absence).map(Stall::NoIngest),
            since(pipeline.oldest, self.longest_wait).map(Stall::Waits),
        ]
        .into_iter()
        .flatten()
        .collect()
    }
}

impl fmt::Display for Stall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Waits(length) => write!(f, "the oldest queued event has waited for {} min", length.as_mins()),
            Self::NoWorker(length) => write!(f, "no worker was heard of for {} min", length.as_mins()),
            Self::NoIngest(length) => write!(f, "no API was heard of for {} min", length.as_mins()),
        }
    }
}

/// Evaluates what waits, and who is alive.
pub(crate) async fn evaluate(snapshot: &Snapshot) -> Result<Vec<Evaluation>, ReadError> {
    let (rule, now) = (snapshot.rules.pipeline_stalled, snapshot.now);
    let (liveness, partitions) = (snapshot.liveness().await?, snapshot.partitions().await?);
    let oldest = partitions.iter().filter_map(|partition| Some(partition.oldest.as_ref()?.received_at)).min();
    let stalls = rule.stalls(&Pipeline { oldest, worker: liveness.worker, ingest: liveness.ingest }, now);
    let waiting = partitions.iter().map(|partition| partition.ready).sum();
    let mut alert = Alert::new(AlertName::PipelineStalled, Subject::Fleet, now);
    let detail: Vec<_> = stalls.iter().map(ToString::to_string).collect();
    alert.finding = Some(Finding::new(waiting, waiting, Some(detail.join("; "))));
    let health = Health::unhealthy_if(!stalls.is_empty());
    Ok(vec![Evaluation { clears_after: rule.clears_after, ..Evaluation::new(alert, health, now) }])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stalls_when_an_event_waits_too_long_or_nobody_is_heard_of() {
        let at = |second| Some(Timestamp::from_second(second).unwrap());
        for (oldest, worker, ingest, says) in [
            (None, at(9_999), at(9_999), ""),
            (at(9_700), at(9_880), at(9_880), ""),
            (at(9_699), at(9_999), at(9_999), "the oldest queued event has waited for 5 min"),
            (None, at(9_879), at(9_999), "no worker was heard of for 2 min"),
            (None, at(9_999), at(9_000), "no API was heard of for 16 min"),
            (
                at(9_000),
                at(9_000),
                at(9_999),
                "no worker was heard of for 16 min; the oldest queued event has waited for 16 min",
            ),
            // A system that was just installed.
            (None, None, None, ""),
            (at(9_000), None, None, "the oldest queued event has waited for 16 min"),
        ] {
            let (settings, now) = (PipelineStalled::default(), at(10_000).unwrap());
            let pipeline = Pipeline { oldest, worker, ingest };
            let said: Vec<_> = settings.stalls(&pipeline, now).iter().map(Stall::to_string).collect();
            assert_eq!(said.join("; "), says, "{pipeline:?}");
        }
    }
}
