//! `PipelineStalled`: what devices report does not get through to where the other rules look.

use std::fmt;

use jiff::{SignedDuration, Timestamp};

use super::verdict::Verdict;
use crate::routing::rules::PipelineStalled;

/// What is seen of the pipeline.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Pipeline {
    /// When the event that waits longest was received.
    pub oldest: Option<Timestamp>,
    /// When a worker was last heard of; none where there never was one.
    pub worker: Option<Timestamp>,
    /// When an API was last heard of; none where there never was one.
    pub ingest: Option<Timestamp>,
}

/// What is wrong with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stall {
    /// An event waits for so long.
    Waits(SignedDuration),
    /// No worker was heard of for so long.
    NoWorker(SignedDuration),
    /// No API was heard of for so long.
    NoIngest(SignedDuration),
}

impl PipelineStalled {
    /// What is wrong, the most telling first.
    pub fn stalls(&self, pipeline: &Pipeline, now: Timestamp) -> Vec<Stall> {
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

    /// Whether anyone listens: an API is alive, or there never was one that says so.
    pub fn listens(&self, ingest: Option<Timestamp>, now: Timestamp) -> bool {
        ingest.is_none_or(|at| now.duration_since(at) <= self.longest_absence)
    }

    /// Whether it stalls.
    pub fn judge(&self, pipeline: &Pipeline, now: Timestamp) -> Verdict {
        if self.stalls(pipeline, now).is_empty() { Verdict::Well } else { Verdict::Wrong }
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
            assert_eq!(settings.judge(&pipeline, now) == Verdict::Wrong, !says.is_empty());
        }
    }
}
