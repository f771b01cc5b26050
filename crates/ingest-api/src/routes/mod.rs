//! The route table.

mod health;
mod page;
mod repeated_failures;
mod sync_event;
mod sync_history;
mod v1;

use actix_web::web::{self, ServiceConfig, get, post, resource};

use crate::error::ApiError;

/// The most bytes of a body.
pub const BODY_LIMIT: usize = 1024 * 1024;

/// Every route, and a problem for everything else.
pub fn table(config: &mut ServiceConfig) {
    config
        .app_data(web::PayloadConfig::new(BODY_LIMIT))
        .app_data(web::QueryConfig::default().error_handler(|_, _| unreadable_query().into()))
        .service(resource("/api/sync-event").route(post().to(sync_event::post)).default_service(only("POST")))
        .service(
            resource("/api/device/{id}/sync-history").route(get().to(sync_history::get)).default_service(only("GET")),
        )
        .service(
            resource("/api/devices/repeated-failures")
                .route(get().to(repeated_failures::get))
                .default_service(only("GET")),
        )
        .configure(v1::table)
        .service(resource("/healthz").route(get().to(health::alive)).default_service(only("GET")))
        .service(resource("/readyz").route(get().to(health::ready)).default_service(only("GET")))
        .default_service(web::to(async || -> Result<&'static str, ApiError> { Err(ApiError::NoRoute) }));
}

/// The answer to any other method.
fn only(allow: &'static str) -> actix_web::Route {
    web::to(move || async move { Err::<&'static str, _>(ApiError::Method { allow }) })
}

fn unreadable_query() -> ApiError {
    ApiError::query("", "the query has a member twice, or cannot be read")
}
