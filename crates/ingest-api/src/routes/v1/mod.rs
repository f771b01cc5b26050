//! The route table of `/api/v1`, the part that reads.

mod alerts;
mod csv;
mod device;
mod device_counts;
mod device_filter;
mod device_item;
mod device_walk;
mod devices;
mod fleet_summary;
mod list;
mod query;
mod sync_events;

use actix_web::web::{ServiceConfig, get, resource};

use super::only;

/// Every reading route under `/api/v1`.
pub(super) fn table(config: &mut ServiceConfig) {
    let read = |path: &str| resource(path).default_service(only("GET"));
    config
        .service(read("/api/v1/devices").route(get().to(devices::get)))
        .service(read("/api/v1/devices.csv").route(get().to(devices::get_csv)))
        .service(read("/api/v1/devices/{id}").route(get().to(device::get)))
        .service(read("/api/v1/devices/{id}/sync-events").route(get().to(sync_events::get)))
        .service(read("/api/v1/devices/{id}/sync-events.csv").route(get().to(sync_events::get_csv)))
        .service(read("/api/v1/alerts").route(get().to(alerts::get)))
        .service(read("/api/v1/fleet/summary").route(get().to(fleet_summary::get)));
}
