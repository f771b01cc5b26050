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

/// Every route there is, with who may use it.
pub fn all() -> impl Iterator<Item = &'static Resource> {
    ingest::ROUTES.iter().chain(api::ROUTES).chain(dashboard::ROUTES)
}

/// Every route with the scope that it demands and the origins that may read, and a problem for everything else.
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
    // The reader of queries gives no more than its sentence, with the name in it.
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
