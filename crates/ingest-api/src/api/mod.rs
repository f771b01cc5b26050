//! The route table of the API: reads, and actions on alerts.

pub(crate) mod ack;
pub(crate) mod alerts;
mod columns;
mod csv;
mod device;
mod device_item;
mod devices;
pub(crate) mod devices_query;
mod fleet_summary;
mod health;
pub(crate) mod list;
mod metrics;
mod openapi;
pub(crate) mod operator;
mod page;
pub(crate) mod query;
mod query_names;
mod repeated_failures;
mod silence_item;
mod silences;
mod spreadsheet;
mod sync_events;
mod sync_history;
mod what_changed;

use actix_web::{
    Route,
    web::{delete, post},
};
use utoipa::OpenApi;

pub use self::openapi::document as openapi_document;
pub(crate) use self::{fleet_summary::SummaryCache, openapi::Docs};
use crate::http::{
    Costly,
    auth::Scope,
    route::{Access, Endpoint, Resource, get},
};

/// The routes under `/api/v1` in the `OpenAPI` document.
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
struct Reads;

/// Every route except those of devices and the pages.
pub(crate) const ROUTES: &[Resource] = &[
    Resource::new(
        "/api/device/{id}/sync-history",
        &[Endpoint::get(Access::Key(Scope::Read), || get().to(sync_history::get))],
    )
    .with_cors(),
    Resource::new(
        "/api/devices/repeated-failures",
        &[Endpoint::get(Access::Key(Scope::Read), || get().to(repeated_failures::get))],
    )
    .with_cors(),
    Resource::new("/healthz", &[Endpoint::get(Access::Everyone, || get().to(health::alive))]),
    Resource::new("/readyz", &[Endpoint::get(Access::Everyone, || get().to(health::ready))]),
    Resource::new("/metrics", &[Endpoint::get(Access::Key(Scope::Read), || get().to(metrics::get))]),
    Resource::new("/openapi.json", &[Endpoint::get(Access::Key(Scope::Read), || get().to(openapi::get))]),
    Resource::new("/docs", &[Endpoint::get(Access::Key(Scope::Read), || get().to(openapi::to_page))]),
    Resource::new("/docs/{file:.*}", &[Endpoint::get(Access::Key(Scope::Read), || get().to(openapi::page))]),
    Resource::new("/api/v1/devices", &[read(|| get().to(devices::get))]).with_cors(),
    Resource::new("/api/v1/devices.csv", &[read(|| get().to(devices::get_csv)).costly(Costly::List)]).with_cors(),
    Resource::new("/api/v1/devices/{id}", &[read(|| get().to(device::get))]).with_cors(),
    Resource::new("/api/v1/devices/{id}/sync-events", &[read(|| get().to(sync_events::get))]).with_cors(),
    Resource::new(
        "/api/v1/devices/{id}/sync-events.csv",
        &[read(|| get().to(sync_events::get_csv)).costly(Costly::List)],
    )
    .with_cors(),
    Resource::new("/api/v1/alerts", &[read(|| get().to(alerts::get))]).with_cors(),
    Resource::new(
        "/api/v1/alerts/{id}/ack",
        &[Endpoint::post(OPERATE, || post().to(ack::post)), Endpoint::delete(OPERATE, || delete().to(ack::delete))],
    ),
    Resource::new("/api/v1/silences/preview", &[read(|| get().to(silences::preview)).costly(Costly::Computed)])
        .with_cors(),
    Resource::new("/api/v1/silences/{id}", &[Endpoint::delete(OPERATE, || delete().to(silences::delete))]),
    Resource::new(
        "/api/v1/silences",
        &[read(|| get().to(silences::get)), Endpoint::post(OPERATE, || post().to(silences::post))],
    )
    .with_cors(),
    Resource::new("/api/v1/fleet/summary", &[read(|| get().to(fleet_summary::get)).costly(Costly::Computed)])
        .with_cors(),
    Resource::new("/api/v1/fleet/what-changed", &[read(|| get().to(what_changed::get)).costly(Costly::Computed)])
        .with_cors(),
];

const OPERATE: Access = Access::Key(Scope::Operate);

const fn read(route: fn() -> Route) -> Endpoint {
    Endpoint::get(Access::Key(Scope::Read), route).with_known_query(query_names::of)
}
