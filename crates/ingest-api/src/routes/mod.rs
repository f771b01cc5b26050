//! The route table.

mod hint;

use actix_web::{
    HttpRequest,
    error::QueryPayloadError,
    web::{self, ServiceConfig},
};

use crate::{
    api, dashboard,
    http::{cors::Origins, error::ApiError, route::Resource},
    ingest,
};

/// Returns every route, with its access.
pub fn all() -> impl Iterator<Item = &'static Resource> {
    ingest::ROUTES.iter().chain(api::ROUTES).chain(dashboard::ROUTES)
}

/// Configures every route with its scope and its origins, and a problem for all other paths.
pub fn table(config: &mut ServiceConfig, origins: &Origins) {
    config
        .app_data(web::QueryConfig::default().error_handler(|error, _| bad_query(&error).into()))
        .app_data(web::PathConfig::default().error_handler(|_, _| bad_path().into()));
    for resource in all() {
        config.service(resource.service(origins));
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
    // The query parser returns only its sentence, with the name in it.
    let name = said.split('`').nth(1).map(|name| format!("/{name}"));
    match (said.split_once('`').map(|(what, _)| what.trim_end()), name) {
        (Some("duplicate field"), Some(pointer)) => ApiError::invalid(pointer, "is given twice: give it once"),
        (Some("missing field"), Some(pointer)) => ApiError::invalid(pointer, "is required"),
        _ => ApiError::malformed(format!("the query cannot be read: {said}")),
    }
}

fn bad_path() -> ApiError {
    ApiError::malformed("the path cannot be read: it must be percent-encoded UTF-8")
}
