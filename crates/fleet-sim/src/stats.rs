//! The counts and latencies of the events of a run.

use std::{collections::BTreeMap, time::Duration};

use serde::Serialize;

use crate::{
    client::{Delivery, Outcome},
    report::Rows,
};

/// A running count of deliveries.
#[derive(Debug, Default)]
pub struct Stats {
    sent: u64,
    resent: u64,
    retries: u64,
    gave_up: u64,
    unknown: u64,
    refused: BTreeMap<u16, Refused>,
    latencies: Vec<Duration>,
}

/// The closing figures. `sent` is the sum of accepted, refused and given up.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Figures {
    /// Events sent; an event that its device sends twice counts twice.
    pub sent: u64,
    /// Sent events that had been accepted before.
    pub resent: u64,
    /// Events answered by 202.
    pub accepted: u64,
    /// Events refused, by status.
    pub refused: BTreeMap<u16, Refused>,
    /// Events given up after all their attempts.
    pub gave_up: u64,
    /// Refused or given up events that may be stored nevertheless.
    pub unknown: u64,
    /// Retries.
    pub retries: u64,
    /// The duration of the run, in seconds.
    pub seconds: f64,
    /// Accepted events per second.
    pub events_per_second: f64,
    /// Time from request to 202, in milliseconds.
    pub latency_ms: Latency,
}

/// Refusals with one status.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Refused {
    /// The number of refusals.
    pub count: u64,
    /// The detail of one of them.
    pub example: String,
}

/// Latencies in milliseconds; 0 if nothing was accepted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct Latency {
    /// The median.
    pub p50: f64,
    /// The 99th percentile.
    pub p99: f64,
    /// The maximum.
    pub max: f64,
}

impl Latency {
    /// Returns the latencies of durations, shortest first.
    pub fn of(sorted: &[Duration]) -> Self {
        let [p50, p99, max] = [50, 99, 100].map(|percent| percentile(sorted, percent));
        Self { p50, p99, max }
    }
}

impl Stats {
    /// Counts one delivery; `resent` is true if the event had been accepted before.
    pub fn count(&mut self, delivery: Delivery, resent: bool) {
        self.sent += 1;
        self.resent += u64::from(resent);
        self.retries += u64::from(delivery.retries);
        match delivery.outcome {
            Outcome::Accepted { latency } => self.latencies.push(latency),
            Outcome::Refused { status, detail, may_be_stored } => {
                let refused = self.refused.entry(status).or_default();
                refused.count += 1;
                refused.example = detail;
                self.unknown += u64::from(may_be_stored && !resent);
            }
            Outcome::GaveUp { may_be_stored } => {
                self.gave_up += 1;
                self.unknown += u64::from(may_be_stored && !resent);
            }
        }
    }

    /// Adds other counts to these.
    pub fn add(&mut self, mut other: Self) {
        self.sent += other.sent;
        self.resent += other.resent;
        self.retries += other.retries;
        self.gave_up += other.gave_up;
        self.unknown += other.unknown;
        self.latencies.append(&mut other.latencies);
        for (status, refused) in other.refused {
            let sum = self.refused.entry(status).or_default();
            sum.count += refused.count;
            sum.example = refused.example;
        }
    }

    /// Returns the figures after a run of this duration.
    pub fn close(mut self, elapsed: Duration) -> Figures {
        self.latencies.sort_unstable();
        let accepted = self.latencies.len() as u64;
        let seconds = elapsed.as_secs_f64();
        Figures {
            sent: self.sent,
            resent: self.resent,
            accepted,
            refused: self.refused,
            gave_up: self.gave_up,
            unknown: self.unknown,
            retries: self.retries,
            seconds,
            #[expect(clippy::cast_precision_loss, reason = "counts are below 2^53")]
            events_per_second: accepted as f64 / seconds,
            latency_ms: Latency::of(&self.latencies),
        }
    }
}

impl Figures {
    /// Returns true if every event was accepted.
    pub fn all_accepted(&self) -> bool {
        self.accepted == self.sent
    }

    /// Returns the closing table.
    pub fn rows(&self) -> Rows {
        let mut rows = Rows::default();
        rows.add("sent", self.sent).add_some("of these again", self.resent).add("accepted", self.accepted);
        for (status, Refused { count, example }) in &self.refused {
            rows.add(format!("refused with {status}"), count)
                .note(format!("refused with {status}, such as: {example}"));
        }
        rows.add("gave up", self.gave_up)
            .add_some("perhaps stored, never acknowledged", self.unknown)
            .add("retries", self.retries)
            .add("time", format!("{:.2} s", self.seconds))
            .add("accepted per second", format!("{:.0}", self.events_per_second));
        for (name, millis) in [("p50", self.latency_ms.p50), ("p99", self.latency_ms.p99), ("max", self.latency_ms.max)]
        {
            rows.add(format!("latency {name}"), format!("{millis:.2} ms"));
        }
        rows
    }
}

/// Returns the smallest value that this percentage of values does not exceed, in milliseconds.
fn percentile(sorted: &[Duration], percent: usize) -> f64 {
    let rank = (sorted.len() * percent).div_ceil(100);
    sorted.get(rank.saturating_sub(1)).map_or(0.0, |latency| latency.as_secs_f64() * 1000.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn accepted(millis: u64) -> Delivery {
        Delivery { outcome: Outcome::Accepted { latency: Duration::from_millis(millis) }, retries: 0 }
    }

    #[test]
    fn every_event_sent_is_accepted_refused_or_given_up() {
        let (mut stats, mut other) = (Stats::default(), Stats::default());
        for millis in 1..=200 {
            stats.count(accepted(millis), millis > 190);
        }
        let refused = Outcome::Refused { status: 400, detail: "no".into(), may_be_stored: false };
        other.count(Delivery { outcome: refused, retries: 2 }, false);
        other.count(Delivery { outcome: Outcome::GaveUp { may_be_stored: true }, retries: 9 }, false);
        stats.add(other);

        let figures = stats.close(Duration::from_secs(4));
        assert_eq!((figures.sent, figures.resent, figures.accepted), (202, 10, 200));
        assert_eq!((figures.refused[&400].count, figures.gave_up, figures.unknown), (1, 1, 1));
        assert_eq!(figures.retries, 11);
        assert_eq!(figures.events_per_second.round().to_string(), "50");
        let Latency { p50, p99, max } = figures.latency_ms;
        assert_eq!([p50, p99, max].map(|millis| millis.round().to_string()), ["100", "198", "200"]);
        assert!(!figures.all_accepted());
    }

    #[test]
    fn a_run_of_nothing_has_figures_too() {
        let figures = Stats::default().close(Duration::from_secs(1));
        assert_eq!(figures.latency_ms, Latency::default());
        assert!(figures.all_accepted());
    }
}
