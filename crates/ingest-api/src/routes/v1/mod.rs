//! The route table of `/api/v1`: what is read there, and what people do about alerts.

pub(crate) mod ack;
pub(crate) mod alerts;
mod csv;
mod device;
mod device_counts;
pub(crate) mod device_filter;
pub(crate) mod device_item;
pub(crate) mod device_walk;
mod devices;
mod fleet_summary;
mod known_query;
pub(crate) mod list;
pub(crate) mod operator;
pub(crate) mod query;
mod silence_item;
mod silences;
mod sync_events;
mod what_changed;

use actix_web::{
    Route,
    guard::Post,
    middleware::from_fn,
    web::{ServiceConfig, delete, get, post, resource},
};
use utoipa::OpenApi;

pub use self::device_counts::Census;
use super::only;
use crate::{
    auth::{Demand, Scope},
    cors::Cors,
};

/// What these routes say of themselves.
#[derive(OpenApi)]
#[openapi(paths(
    devices::get,
    devices::get_csv,
    device::get,
    sync_events::get,
    sync_events::get_csv,
    alerts::get,
    ack::post,
    ack::delete,
    silences::get,
    silences::post,
    silences::delete,
    silences::preview,
    fleet_summary::get,
    what_changed::get,
))]
pub(super) struct Reads;

/// Every route under `/api/v1` but that of batches.
pub(super) fn table(config: &mut ServiceConfig) {
    let read = |path: &str, get: Route| {
        let resource = resource(path).route(get).default_service(only("GET")).wrap(from_fn(known_query::check));
        resource.wrap(Demand(Scope::Read)).wrap(Cors)
    };
    config
        .service(read("/api/v1/devices", get().to(devices::get)))
        .service(read("/api/v1/devices.csv", get().to(devices::get_csv)))
        .service(read("/api/v1/devices/{id}", get().to(device::get)))
        .service(read("/api/v1/devices/{id}/sync-events", get().to(sync_events::get)))
        .service(read("/api/v1/devices/{id}/sync-events.csv", get().to(sync_events::get_csv)))
        .service(read("/api/v1/alerts", get().to(alerts::get)))
        .service(read("/api/v1/silences/preview", get().to(silences::preview)))
        .service(
            resource("/api/v1/alerts/{id}/ack")
                .route(post().to(ack::post))
                .route(delete().to(ack::delete))
                .default_service(only("POST, DELETE"))
                .wrap(Demand(Scope::Operate)),
        )
        .service(
            resource("/api/v1/silences/{id}")
                .route(delete().to(silences::delete))
                .default_service(only("DELETE"))
                .wrap(Demand(Scope::Operate)),
        )
        .service(
            resource("/api/v1/silences").guard(Post()).route(post().to(silences::post)).wrap(Demand(Scope::Operate)),
        )
        .service(
            resource("/api/v1/silences")
                .route(get().to(silences::get))
                .default_service(only("GET, POST"))
                .wrap(from_fn(known_query::check))
                .wrap(Demand(Scope::Read))
                .wrap(Cors),
        )
        .service(read("/api/v1/fleet/summary", get().to(fleet_summary::get)))
        .service(read("/api/v1/fleet/what-changed", get().to(what_changed::get)));
}
