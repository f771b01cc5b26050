//! The route table.

mod batch;
mod body;
mod health;
mod metrics;
mod openapi;
mod packing;
mod page;
mod repeated_failures;
mod report_body;
mod sync_event;
mod sync_history;
mod tidy;
pub(crate) mod v1;

use actix_web::{
    HttpResponse,
    http::Method,
    web::{self, ServiceConfig, get, head, post, resource},
};

pub(crate) use self::{openapi::Docs, tidy::tidy};
pub use self::{repeated_failures::FailingTotal, v1::Census};
use crate::{
    auth::{Demand, Scope},
    cors::Cors,
    dashboard,
    error::ApiError,
};

/// Every route with the scope that it demands, and a problem for everything else.
pub fn table(config: &mut ServiceConfig) {
    config
        .app_data(web::QueryConfig::default().error_handler(|error, _| bad_query(&error).into()))
        .app_data(web::PathConfig::default().error_handler(|_, _| bad_path().into()))
        .service(
            resource("/api/v1/sync-events")
                .route(post().to(batch::post))
                .default_service(only("POST"))
                .wrap(Demand(Scope::Ingest)),
        )
        .service(
            resource("/api/sync-event")
                .route(post().to(sync_event::post))
                .default_service(only("POST"))
                .wrap(Demand(Scope::Ingest)),
        )
        .service(
            resource("/api/device/{id}/sync-history")
                .route(get().to(sync_history::get))
                .default_service(only("GET"))
                .wrap(Demand(Scope::Read))
                .wrap(Cors),
        )
        .service(
            resource("/api/devices/repeated-failures")
                .route(get().to(repeated_failures::get))
                .default_service(only("GET"))
                .wrap(Demand(Scope::Read))
                .wrap(Cors),
        )
        .configure(v1::table)
        .configure(dashboard::table)
        .service(
            resource("/healthz")
                .route(get().to(health::alive))
                .route(head().to(health::alive))
                .default_service(only("GET")),
        )
        // Balancers ask by HEAD as well, and have to be told the same.
        .service(
            resource("/readyz")
                .route(get().to(health::ready))
                .route(head().to(health::ready))
                .default_service(only("GET")),
        )
        .service(
            resource("/metrics").route(get().to(metrics::get)).default_service(only("GET")).wrap(Demand(Scope::Read)),
        )
        .service(resource("/openapi.json").route(get().to(openapi::get)).default_service(only("GET")))
        .service(resource("/docs").route(get().to(openapi::to_page)).default_service(only("GET")))
        .service(resource("/docs/{file:.*}").route(get().to(openapi::page)).default_service(only("GET")))
        .default_service(web::to(async || -> Result<&'static str, ApiError> { Err(ApiError::NoRoute { hint: None }) }));
}

/// The answer to any other method; to `HEAD` wherever `GET` is: that it is there. No query is run for it.
pub(crate) fn only(allow: &'static str) -> actix_web::Route {
    let allow = match allow {
        "GET" => "GET, HEAD",
        "GET, POST" => "GET, HEAD, POST",
        other => other,
    };
    web::to(move |method: Method| async move {
        if method == Method::HEAD && allow.starts_with("GET") {
            return Ok(HttpResponse::Ok().finish());
        }
        Err(ApiError::Method { allow })
    })
}

fn bad_query(error: &actix_web::error::QueryPayloadError) -> ApiError {
    ApiError::malformed(format!("the query cannot be read: {error}"))
}

fn bad_path() -> ApiError {
    ApiError::malformed("the path cannot be read: it must be percent-encoded UTF-8")
}
