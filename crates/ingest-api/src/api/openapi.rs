//! `GET /openapi.json` and `/docs`: the API as `OpenAPI` 3.1, generated from the routes, and a page to try it.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use actix_web::{
    HttpResponse,
    http::header::{CONTENT_SECURITY_POLICY, LOCATION},
    web::{Bytes, Data, Path},
};
use serde::Serialize;
use utoipa::{
    OpenApi, ToSchema,
    openapi::{
        ContentBuilder, Ref, RefOr, ResponseBuilder,
        path::Operation,
        security::{Http, HttpAuthScheme, SecurityRequirement, SecurityScheme},
    },
};
use utoipa_swagger_ui::Config;

use super::{Reads, health, repeated_failures, sync_history};
use crate::{
    http::{error::ApiError, root},
    ingest::{batch, sync_event},
};

/// Policy of the page: its own files, and none from elsewhere.
const PAGE_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; \
     img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

#[derive(OpenApi)]
#[openapi(
    info(title = "PiSync", description = "Accepts reports of devices, and returns the state of the fleet."),
    paths(sync_event::post, batch::post, sync_history::get, repeated_failures::get, health::alive, health::ready,),
    components(schemas(Problem))
)]
struct Document;

/// An error in the form of RFC 9457.
#[derive(Serialize, ToSchema)]
struct Problem {
    r#type: String,
    title: String,
    status: u16,
    detail: String,
    /// Each fault of the body or query.
    #[schema(required = false)]
    errors: Vec<Fault>,
    /// Always false, for old clients.
    success: bool,
    /// The same as `detail`, for old clients.
    error: String,
}

/// A fault of one member.
#[derive(Serialize, ToSchema)]
struct Fault {
    /// JSON pointer (RFC 6901) to the member; empty for the whole body.
    pointer: String,
    /// A short stable word.
    code: String,
    detail: String,
}

/// Adds the errors that any route may return, and the security scheme.
fn add_refusals(document: &mut utoipa::openapi::OpenApi) {
    let bearer = SecurityScheme::Http(Http::new(HttpAuthScheme::Bearer));
    document.components.get_or_insert_default().add_security_scheme("key", bearer);
    for (path, item) in &mut document.paths.paths {
        if let Some(post) = &mut item.post {
            add(post, &[400, 401, 403, 404, 413, 415, 429, 431, 503]);
        }
        if let Some(delete) = &mut item.delete {
            add(delete, &[400, 401, 403, 404, 429, 431, 503]);
        }
        if let Some(get) = &mut item.get
            && path.starts_with("/api")
        {
            add(get, &[400, 401, 403, 404, 429, 431, 503]);
        }
    }
}

fn add(operation: &mut Operation, statuses: &[u16]) {
    for status in statuses {
        let word = actix_web::http::StatusCode::from_u16(*status).ok().and_then(|status| status.canonical_reason());
        let problem = ContentBuilder::new().schema(Some(Ref::from_schema_name("Problem"))).build();
        let response = ResponseBuilder::new()
            .description(format!("{}{}", word.unwrap_or_default(), for_devices(operation, *status)))
            .content("application/problem+json", problem)
            .build();
        operation.responses.responses.entry(status.to_string()).or_insert(RefOr::T(response));
    }
    operation.security = Some(vec![SecurityRequirement::default(), SecurityRequirement::new("key", [""; 0])]);
}

/// Returns the advice for a device whose report got a status.
fn for_devices(operation: &Operation, status: u16) -> &'static str {
    let is_of_devices = operation.tags.iter().flatten().any(|tag| tag == "devices") && operation.request_body.is_some();
    match status {
        _ if !is_of_devices => "",
        400 | 413 | 415 | 431 => {
            ". With application/problem+json it is final: the report will never be accepted. Split a batch that is too \
             large. Without, keep the report and send it again"
        }
        429 | 503 => {
            ". Keep the report and send it again after what Retry-After says, in seconds or as a date, with some \
             randomness"
        }
        _ => ". Keep the report and send it again",
    }
}

/// Returns the `OpenAPI` document of all routes for programs, as JSON.
pub fn document() -> String {
    let mut document = Document::openapi();
    document.merge(Reads::openapi());
    add_refusals(&mut document);
    document.to_json().unwrap_or_default()
}

/// The document and the page, made once.
#[derive(Clone)]
pub(crate) struct Docs {
    document: Bytes,
    page: Arc<Config<'static>>,
    /// The files of the page that were requested, so that each is copied once.
    files: Arc<Mutex<HashMap<String, (String, Bytes)>>>,
}

impl Docs {
    /// Makes the document of the routes, and the page that shows it.
    pub(crate) fn new() -> Self {
        // By default the page sends the document to an external validator.
        let page = Config::new([format!("{}/openapi.json", root())]).validator_url("none");
        Self { document: document().into(), page: Arc::new(page), files: Arc::default() }
    }

    /// Returns a file of the page with its media type. There are few; unknown names are not cached.
    fn file(&self, name: &str) -> Option<(String, Bytes)> {
        let mut files = self.files.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(found) = files.get(name) {
            return Some(found.clone());
        }
        let found = utoipa_swagger_ui::serve(name, self.page.clone()).ok().flatten()?;
        let file = (found.content_type, Bytes::from(found.bytes.into_owned()));
        files.insert(name.to_owned(), file.clone());
        Some(file)
    }
}

/// Returns the document.
pub(super) async fn get(docs: Data<Docs>) -> HttpResponse {
    HttpResponse::Ok().content_type("application/json").body(docs.document.clone())
}

/// Redirects to the page, beside its own files.
pub(super) async fn to_page() -> HttpResponse {
    HttpResponse::PermanentRedirect().insert_header((LOCATION, format!("{}/docs/", root()))).finish()
}

/// Returns a file of the page, from the binary.
pub(super) async fn page(file: Path<String>, docs: Data<Docs>) -> Result<HttpResponse, ApiError> {
    let (media_type, bytes) = docs.file(&file).ok_or(ApiError::NoRoute { hint: None })?;
    let policy = (CONTENT_SECURITY_POLICY, PAGE_POLICY);
    Ok(HttpResponse::Ok().content_type(media_type).insert_header(policy).body(bytes))
}
