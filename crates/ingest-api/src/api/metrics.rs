//! `GET /metrics`: the counters of this process, and the present state of the queue.

use std::time::Duration;

use actix_web::{HttpResponse, web::Data};
use jiff::Timestamp;
use pisync_core::{
    metrics::{CONTENT_TYPE, registry, render},
    models::DeviceStatus,
    presence::Liveness,
    queue::{Each, PartitionStatus, QueueError},
};
use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{family::Family, gauge::Gauge},
    registry::Registry,
};
use tokio::time::timeout;

use crate::{http::metrics::Metrics, state::State};

/// Timeout of Redis and `MongoDB`: less than a scrape's.
const TIMEOUT: Duration = Duration::from_secs(2);

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Place {
    partition: u32,
}

/// Returns all metrics in the text format of Prometheus; those of a server that is down are missing.
pub(super) async fn get(state: Data<State>, metrics: Data<Metrics>) -> HttpResponse {
    let status = timeout(TIMEOUT, state.queue.status_of_each());
    let (status, devices, liveness) =
        tokio::join!(status, timeout(TIMEOUT, state.fleet.device_counts()), state.fleet.liveness.liveness());
    let status = status.unwrap_or_else(|_| Err(QueueError::Unavailable("no answer about the queue in time".into())));
    let queue = queue_registry(&status, state.producer.max_queue());
    let devices = devices.ok().and_then(Result::ok).map(|counts| devices_registry(counts.by_status()));
    let alerter = liveness.ok().map(|liveness| alerter_registry(&liveness, Timestamp::now()));
    let registries = [Some(metrics.registry()), Some(queue), devices, alerter];
    match registries.iter().flatten().map(render).collect::<Result<String, _>>() {
        Ok(text) => HttpResponse::Ok().content_type(CONTENT_TYPE).body(text),
        Err(_) => HttpResponse::InternalServerError().finish(),
    }
}

/// Returns the metrics of the queue; without an answer of Redis, only that it is down.
fn queue_registry(status: &Result<Each<PartitionStatus>, QueueError>, max_queue: u64) -> Registry {
    let mut registry = registry();
    let redis_up = Gauge::<i64>::default();
    redis_up.set(i64::from(status.is_ok()));
    registry.register("redis_up", "1 if Redis reports the state of the queue, 0 otherwise", redis_up);
    let limit = Gauge::<i64>::default();
    limit.set(signed(max_queue));
    registry.register("queue_limit_events", "Maximum number of queued events over all partitions", limit);
    let Ok(Each { available, unavailable }) = status else { return registry };
    let silent = Gauge::<i64>::default();
    silent.set(i64::try_from(unavailable.len()).unwrap_or(i64::MAX));
    registry.register(
        "queue_partitions_unknown",
        "Partitions whose state is unavailable; the log has the error",
        silent,
    );
    let mut gauge = |name: &str, help: &str, value: &dyn Fn(&PartitionStatus) -> i64| {
        let family = Family::<Place, Gauge>::default();
        for status in available {
            family.get_or_create(&Place { partition: u32::from(status.partition.number()) }).set(value(status));
        }
        registry.register(name, help, family);
    };
    gauge("queue_waiting_events", "Events waiting in the queue", &|status| signed(status.ready));
    gauge("queue_in_flight_events", "Events in batches that workers have claimed", &|status| {
        signed(status.in_flight())
    });
    gauge("queue_dead_letters", "Dead letters in the queue", &|status| signed(status.dead));
    gauge("queue_paused", "1 if the partition is paused, 0 otherwise", &|status| i64::from(status.paused));
    gauge("queue_oldest_age_seconds", "Age of the oldest event; 0 if the queue is empty", &oldest_age);
    registry
}

/// Returns the number of devices by status.
fn devices_registry(counts: [(DeviceStatus, u64); 4]) -> Registry {
    let mut registry = registry();
    let devices = Family::<[(&'static str, &'static str); 1], Gauge>::default();
    for (status, count) in counts {
        devices.get_or_create(&[("status", status.as_str())]).set(signed(count));
    }
    registry.register("devices", "Devices by status, each counted once", devices);
    registry
}

/// Returns whether an alerter is alive, by its heartbeats in Redis.
fn alerter_registry(liveness: &Liveness, now: Timestamp) -> Registry {
    let mut registry = registry();
    let (up, last_tick) = (Gauge::<i64>::default(), Gauge::<i64>::default());
    up.set(i64::from(liveness.alerter_at(now).is_alive()));
    last_tick.set(liveness.alerter.map_or(0, Timestamp::as_second));
    let help = "1 if an alerter ticks on schedule, 0 otherwise";
    registry.register("alerter_up", help, up);
    let help = "Time of an alerter's last completed tick; 0 before the first";
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
