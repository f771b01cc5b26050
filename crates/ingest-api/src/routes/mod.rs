//! The route table.

mod health;
mod hint;
mod metrics;
pub(crate) mod openapi;
mod page;
mod repeated_failures;
pub(crate) mod sync_history;
pub(crate) mod v1;

use actix_web::{
    HttpRequest,
    error::QueryPayloadError,
    web::{self, ServiceConfig},
};

pub(crate) use self::openapi::Docs;
pub use self::{repeated_failures::FailingTotal, v1::Summaries};
use crate::{
    dashboard,
    http::{
        auth::Scope,
        error::ApiError,
        route::{Access, Endpoint, Resource, get},
    },
    ingest,
};

/// All but those of devices, `/api/v1` and the pages.
const OTHERS: &[Resource] = &[
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
];

/// Every route there is, with who may use it.
pub fn all() -> impl Iterator<Item = &'static Resource> {
    ingest::ROUTES.iter().chain(OTHERS).chain(v1::ROUTES).chain(dashboard::ROUTES)
}

/// Every route with the scope that it demands, and a problem for everything else.
pub fn table(config: &mut ServiceConfig) {
    config
        .app_data(web::QueryConfig::default().error_handler(|error, _| bad_query(&error).into()))
        .app_data(web::PathConfig::default().error_handler(|_, _| bad_path().into()));
    for resource in all() {
        config.service(resource.service());
    }
    config.default_service(web::to(async |request: HttpRequest| -> Result<&'static str, ApiError> {
        Err(ApiError::NoRoute { hint: hint::of(request.method(), request.path()) })
    }));
}

fn bad_query(error: &QueryPayloadError) -> ApiError {
    let said = match error {
        QueryPayloadError::Deserialize(error) => error.to_string(),
        error => error.to_string(),
    };
    // The reader of queries gives no more than its sentence, with the name in it.
    let name = said.split('`').nth(1).map(|name| format!("/{name}"));
    match (said.split_once('`').map(|(what, _)| what.trim_end()), name) {
        (Some("duplicate field"), Some(pointer)) => v1::operator::fault(&pointer, "is given twice: give it once"),
        (Some("missing field"), Some(pointer)) => v1::operator::fault(&pointer, "is required"),
        _ => ApiError::malformed(format!("the query cannot be read: {said}")),
    }
}

fn bad_path() -> ApiError {
    ApiError::malformed("the path cannot be read: it must be percent-encoded UTF-8")
}
