//! What `ingest-api` counts.

use std::{borrow::Cow, time::Duration};

use jiff::Timestamp;
use pisync_core::{
    metrics::{registry, registry_of, seconds},
    models::DeviceStatus,
    queue::{Each, PartitionStatus, QueueError, Signs},
};
use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram},
    registry::Registry,
};

use super::server::Why;
use crate::ingest::Ignored;

/// The route of devices, whose histogram is at hand: nothing is looked up for an accept.
pub(crate) const ACCEPT: &str = "/api/sync-event";

/// What is counted as it happens; what waits in the queue is read when it is asked for.
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

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Code {
    code: u16,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Answered {
    route: Cow<'static, str>,
    status: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Place {
    partition: u32,
}

impl Metrics {
    /// Nothing counted yet.
    pub fn new() -> Self {
        let durations = Family::new_with_constructor(seconds as fn() -> Histogram);
        let accepted = Answered { route: ACCEPT.into(), status: class(202) };
        let accept_duration = durations.get_or_create_owned(&accepted);
        let refusals = Family::<Code, Counter>::default();
        for code in [429, 503] {
            // There from the start: a rate needs the 0.
            drop(refusals.get_or_create(&Code { code }));
        }
        let ignored = Family::<[(&'static str, &'static str); 1], Counter>::default();
        for member in ["labels", "error", "reportId", "sentAt"] {
            drop(ignored.get_or_create(&[("member", member)]));
        }
        let connections_ended = Family::<[(&'static str, &'static str); 1], Counter>::default();
        for why in [Why::Rest, Why::Slow, Why::Malformed, Why::Room] {
            drop(connections_ended.get_or_create(&[("why", word(why))]));
        }
        let accepts = Counter::default();
        Self { accepts, refusals, ignored, connections_ended, durations, accept_duration }
    }

    /// Notes an answer; `route` is the pattern, of which there are few.
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

    /// Notes what was left out of reports that were taken.
    pub(crate) fn ignored(&self, ignored: &[Ignored]) {
        for ignored in ignored {
            self.ignored.get_or_create(&[("member", ignored.member())]).inc();
        }
    }

    /// Notes a connection that the server has ended.
    pub(crate) fn connection_ended(&self, why: Why) {
        self.connections_ended.get_or_create(&[("why", word(why))]).inc();
    }

    /// What this process has counted.
    pub(crate) fn registry(&self) -> Registry {
        let mut registry = registry_of(env!("CARGO_PKG_VERSION"));
        registry.register("accepts", "Events accepted, each of a batch counted", self.accepts.clone());
        registry.register("refusals", "Requests answered with a status from 400 on", self.refusals.clone());
        let help = "Parts of reports that could not be kept; the reports were taken without them";
        registry.register("ingest_ignored", help, self.ignored.clone());
        let help = "Connections that the server has ended, by why";
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

/// What lies in the queue; without an answer of Redis only that there is none.
pub(crate) fn queue_registry(status: &Result<Each<PartitionStatus>, QueueError>, max_queue: u64) -> Registry {
    let mut registry = registry();
    let redis_up = Gauge::<i64>::default();
    redis_up.set(i64::from(status.is_ok()));
    registry.register("redis_up", "1 while Redis tells the state of the queue, 0 else", redis_up);
    let limit = Gauge::<i64>::default();
    limit.set(signed(max_queue));
    registry.register("queue_limit_events", "Events that may wait in all partitions together", limit);
    let Ok(Each { told, untold }) = status else { return registry };
    let silent = Gauge::<i64>::default();
    silent.set(i64::try_from(untold.len()).unwrap_or(i64::MAX));
    registry.register("queue_partitions_untold", "Partitions whose state cannot be told; the log says why", silent);
    let mut gauge = |name: &str, help: &str, value: &dyn Fn(&PartitionStatus) -> i64| {
        let family = Family::<Place, Gauge>::default();
        for status in told {
            family.get_or_create(&Place { partition: u32::from(status.partition.number()) }).set(value(status));
        }
        registry.register(name, help, family);
    };
    gauge("queue_waiting_events", "Events that wait", &|status| signed(status.ready));
    gauge("queue_in_flight_events", "Events in batches that workers have claimed", &|status| {
        signed(status.in_flight())
    });
    gauge("queue_dead_letters", "Dead letters that lie in the queue", &|status| signed(status.dead));
    gauge("queue_paused", "1 while the partition hands out nothing", &|status| i64::from(status.paused));
    gauge("queue_oldest_age_seconds", "How long the oldest event has waited; 0 where none does", &oldest_age);
    registry
}

/// How many devices have which status.
pub(crate) fn devices_registry(counts: [(DeviceStatus, u64); 4]) -> Registry {
    let mut registry = registry();
    let devices = Family::<[(&'static str, &'static str); 1], Gauge>::default();
    for (status, count) in counts {
        devices.get_or_create(&[("status", status.as_str())]).set(signed(count));
    }
    registry.register("devices", "Devices by status, each counted once", devices);
    registry
}

/// Whether anybody is being alerted, by what alerters wrote down in Redis.
pub(crate) fn alerter_registry(signs: &Signs, now: Timestamp) -> Registry {
    let mut registry = registry();
    let (up, last_tick) = (Gauge::<i64>::default(), Gauge::<i64>::default());
    up.set(i64::from(signs.alerter_at(now).is_alive()));
    last_tick.set(signs.alerter.map_or(0, Timestamp::as_second));
    let help = "1 while an alerter ticks by its schedule, 0 while nobody is being alerted";
    registry.register("alerter_up", help, up);
    let help = "When an alerter last completed a tick; 0 before the first";
    registry.register("alerter_last_tick_timestamp_seconds", help, last_tick);
    registry
}

fn oldest_age(status: &PartitionStatus) -> i64 {
    let age = status.oldest.as_ref().map(|event| Timestamp::now().duration_since(event.received_at));
    age.map_or(0, |age| age.as_secs().max(0))
}

fn signed(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

fn word(why: Why) -> &'static str {
    match why {
        Why::Rest => "rest",
        Why::Slow => "slow",
        Why::Malformed => "malformed",
        Why::Room => "room",
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
