//! Counters of requests, accepted events, and connections that the server closed.

use std::{borrow::Cow, time::Duration};

use pisync_core::metrics::{registry_of, seconds};
use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family, histogram::Histogram},
    registry::Registry,
};

/// The device route. Its histogram is at hand, so an accept needs no lookup.
pub(crate) const ACCEPT: &str = "/api/sync-event";

/// Counters of events as they happen; the queue depth is read at each scrape.
#[derive(Debug)]
pub struct Metrics {
    /// Events accepted.
    pub accepts: Counter,
    refusals: Family<Code, Counter>,
    ignored: Family<[(&'static str, &'static str); 1], Counter>,
    connections_ended: Family<[(&'static str, &'static str); 1], Counter>,
    durations: Family<Answered, Histogram, fn() -> Histogram>,
    accept_duration: Histogram,
}

/// Reason why a connection was closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CloseReason {
    /// It was idle for too long.
    Rest,
    /// Its client was too slow to send a head, or to read.
    Slow,
    /// Its head is malformed.
    Malformed,
    /// Its place was needed for others.
    Room,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Code {
    code: u16,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Answered {
    route: Cow<'static, str>,
    status: &'static str,
}

impl CloseReason {
    const ALL: [Self; 4] = [Self::Rest, Self::Slow, Self::Malformed, Self::Room];

    fn as_str(self) -> &'static str {
        match self {
            Self::Rest => "rest",
            Self::Slow => "slow",
            Self::Malformed => "malformed",
            Self::Room => "room",
        }
    }
}

impl Metrics {
    /// Returns metrics at zero.
    pub fn new() -> Self {
        let durations = Family::new_with_constructor(seconds as fn() -> Histogram);
        let accepted = Answered { route: ACCEPT.into(), status: class(202) };
        let accept_duration = durations.get_or_create_owned(&accepted);
        let refusals = Family::<Code, Counter>::default();
        for code in [429, 503] {
            // Present from the start: a rate needs the 0.
            drop(refusals.get_or_create(&Code { code }));
        }
        let ignored = Family::<[(&'static str, &'static str); 1], Counter>::default();
        for member in ["labels", "error", "reportId", "sentAt"] {
            drop(ignored.get_or_create(&[("member", member)]));
        }
        let connections_ended = Family::<[(&'static str, &'static str); 1], Counter>::default();
        for why in CloseReason::ALL {
            drop(connections_ended.get_or_create(&[("why", why.as_str())]));
        }
        let accepts = Counter::default();
        Self { accepts, refusals, ignored, connections_ended, durations, accept_duration }
    }

    /// Counts an answer; `route` is the pattern, which bounds the label's values.
    pub(crate) fn answered(&self, route: Cow<'static, str>, status: u16, duration: Duration) {
        if status == 202 && route == ACCEPT {
            return self.accept_duration.observe(duration.as_secs_f64());
        }
        if status >= 400 {
            self.refusals.get_or_create(&Code { code: status }).inc();
        }
        let answered = Answered { route, status: class(status) };
        self.durations.get_or_create(&answered).observe(duration.as_secs_f64());
    }

    /// Counts the members that were left out of accepted reports.
    pub(crate) fn ignored(&self, members: impl Iterator<Item = &'static str>) {
        for member in members {
            self.ignored.get_or_create(&[("member", member)]).inc();
        }
    }

    /// Counts a connection that the server closed.
    pub(crate) fn connection_ended(&self, why: CloseReason) {
        self.connections_ended.get_or_create(&[("why", why.as_str())]).inc();
    }

    /// Returns the registry of this process.
    pub(crate) fn registry(&self) -> Registry {
        let mut registry = registry_of(env!("CARGO_PKG_VERSION"));
        registry.register("accepts", "Events accepted, each of a batch counted", self.accepts.clone());
        registry.register("refusals", "Requests answered with a status from 400 on", self.refusals.clone());
        let help = "Parts left out of accepted reports";
        registry.register("ingest_ignored", help, self.ignored.clone());
        let help = "Connections closed by the server, by reason";
        registry.register("connections_ended", help, self.connections_ended.clone());
        let help = "Time from the head of a request to its answer, by route pattern and class of status";
        registry.register("request_duration_seconds", help, self.durations.clone());
        registry
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

fn class(status: u16) -> &'static str {
    match status {
        ..300 => "2xx",
        300..400 => "3xx",
        400..500 => "4xx",
        500.. => "5xx",
    }
}
