//! `GET /openapi.json` and `/docs`: the API as `OpenAPI` 3.1, made from the routes themselves, and a
//! page to try it.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, PoisonError},
};

use actix_web::{
    HttpResponse,
    http::header::{CONTENT_SECURITY_POLICY, LOCATION},
    web::{Bytes, Data, Path},
};
use jiff::Timestamp;
use pisync_core::models::{Labels, ReportError, ReportId};
use serde::Serialize;
use utoipa::{
    OpenApi, ToSchema,
    openapi::{
        ContentBuilder, KnownFormat, ObjectBuilder, OneOfBuilder, Ref, RefOr, ResponseBuilder, Schema, SchemaFormat,
        path::Operation,
        schema::{AnyOfBuilder, SchemaType, Type},
        security::{Http, HttpAuthScheme, SecurityRequirement, SecurityScheme},
    },
};
use utoipa_swagger_ui::Config;

use super::{health, repeated_failures, sync_history};
use crate::{
    api,
    http::{error::ApiError, root},
    ingest::{batch, sync_event},
};

/// What the page needs, and nothing from elsewhere.
const PAGE_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; \
     img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

#[derive(OpenApi)]
#[openapi(
    info(title = "PiSync", description = "Reports of devices in, the state of the fleet out."),
    paths(sync_event::post, batch::post, sync_history::get, repeated_failures::get, health::alive, health::ready,),
    components(schemas(Problem))
)]
struct Document;

/// One sync attempt of one device.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(example = json!({
    "deviceId": "pibook-1", "timestamp": "2026-11-24T09:00:00Z",
    "totalFilesSynced": 8, "totalErrors": 0, "internetSpeed": 2.5,
    "reportId": "b55b5e5a-aadc-4321-a12d-51b872166d48"
}))]
#[expect(clippy::struct_field_names, reason = "the members are called so")]
pub(crate) struct Report {
    /// The name of the device: 1 to 128 visible characters, the same for ever. White space around it is
    /// left out, and it is kept in NFC.
    #[schema(min_length = 1, max_length = 128, format = "device-id")]
    device_id: String,
    /// When the sync happened: RFC 3339 with an offset, or milliseconds since 1970.
    #[schema(schema_with = moment)]
    timestamp: String,
    /// Files synced.
    #[schema(minimum = 0, maximum = 2_147_483_647)]
    total_files_synced: i32,
    /// Errors met; over 0 the sync failed.
    #[schema(minimum = 0, maximum = 2_147_483_647)]
    total_errors: i32,
    /// Mbps as measured; 0 where it was not.
    #[schema(minimum = 0, maximum = 1_000_000)]
    internet_speed: f64,
    /// The name of the report, made once when it is recorded: 1 to 64 visible characters. It tells
    /// reports apart that have the same time, as those of a clock without a battery do.
    #[schema(schema_with = report_id, required = false)]
    report_id: Option<String>,
    /// What went wrong, if something did.
    #[schema(schema_with = report_error, required = false)]
    error: Option<String>,
    /// What the device says of itself, such as its group or the version of its content: up to 8
    /// names with a value of up to 64 bytes. Numbers and booleans become text.
    #[schema(schema_with = labels, required = false)]
    labels: Option<BTreeMap<String, String>>,
}

/// The name of a device, as it is stored.
#[derive(Serialize, ToSchema)]
#[schema(min_length = 1, max_length = 2_048, format = "device-id", example = "pibook-1")]
pub(super) struct DeviceName(String);

/// A batch that says what the device's clock shows while it sends.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct SentReports {
    /// The device's clock; beyond two minutes off, all times of the batch are set right by as much.
    /// What is no time is left out.
    #[schema(schema_with = sent_at, required = false)]
    sent_at: Option<String>,
    /// 1 to 1,000 reports.
    #[schema(min_items = 1, max_items = 1_000)]
    events: Vec<Report>,
}

/// 1 to 1,000 reports.
#[derive(Serialize, ToSchema)]
#[schema(min_items = 1, max_items = 1_000)]
pub(crate) struct ReportList(Vec<Report>);

/// What a batch may be.
#[derive(Serialize, ToSchema)]
#[serde(untagged)]
#[expect(dead_code, reason = "it is read by hand, see Batch; this is its description")]
pub(crate) enum Reports {
    /// 1 to 1,000 reports.
    Alone(ReportList),
    /// The same with the device's clock.
    Sent(SentReports),
}

/// What is wrong, as RFC 9457 says it.
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

/// A time in a body or query.
pub(crate) fn moment() -> Schema {
    let text =
        ObjectBuilder::new().schema_type(Type::String).format(Some(SchemaFormat::KnownFormat(KnownFormat::DateTime)));
    let millis = ObjectBuilder::new()
        .schema_type(Type::Integer)
        .minimum(Some(Timestamp::MIN.as_second() * 1_000))
        .maximum(Some(Timestamp::MAX.as_second() * 1_000));
    OneOfBuilder::new().item(text).item(millis).into()
}

/// What a member should be. Anything else is left out and named in the answer, never refused.
fn kept_if(schema: impl Into<RefOr<Schema>>) -> Schema {
    AnyOfBuilder::new().item(schema).item(ObjectBuilder::new().schema_type(SchemaType::AnyValue)).into()
}

fn sent_at() -> Schema {
    kept_if(moment())
}

fn report_id() -> Schema {
    let text = ObjectBuilder::new().schema_type(Type::String).min_length(Some(1));
    kept_if(text.max_length(Some(ReportId::MAX_CHARS)).format(Some(SchemaFormat::Custom("label".into()))))
}

fn report_error() -> Schema {
    let text = || ObjectBuilder::new().schema_type(Type::String);
    let code = text().min_length(Some(1)).max_length(Some(ReportError::CODE_CHARS)).pattern(Some("^[A-Za-z0-9_.-]+$"));
    let message = text().max_length(Some(ReportError::MESSAGE_CHARS));
    kept_if(ObjectBuilder::new().property("code", code).property("message", message).required("code"))
}

fn labels() -> Schema {
    let name = format!("^(?!__)(?!(?:{})$)[A-Za-z_][A-Za-z0-9_]*$", Labels::TAKEN.join("|"));
    let text = |most: usize| ObjectBuilder::new().schema_type(Type::String).min_length(Some(1)).max_length(Some(most));
    let value = text(Labels::VALUE_BYTES).format(Some(SchemaFormat::Custom("label".into())));
    let object = ObjectBuilder::new().max_properties(Some(Labels::MOST));
    let object = object.property_names(Some(text(Labels::NAME_BYTES).pattern(Some(name))));
    kept_if(object.additional_properties(Some(Schema::from(value))))
}

/// What any route may answer in place of what was asked, and who may ask.
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

/// What a status says to a device that has sent a report.
fn for_devices(operation: &Operation, status: u16) -> &'static str {
    let is_of_devices = operation.tags.iter().flatten().any(|tag| tag == "devices") && operation.request_body.is_some();
    match status {
        _ if !is_of_devices => "",
        400 | 413 | 415 | 431 => {
            ". With application/problem+json it is final: the report never will be taken. Of a batch that is too \
             large send the halves. Without, keep the report and send it again"
        }
        429 | 503 => {
            ". Keep the report and send it again after what Retry-After says, in seconds or as a date, with some \
             randomness"
        }
        _ => ". Keep the report and send it again",
    }
}

/// The document, as JSON.
pub(crate) fn document() -> String {
    let mut document = Document::openapi();
    document.merge(v1::Reads::openapi());
    add_refusals(&mut document);
    document.to_json().unwrap_or_default()
}

/// What of this module the routes need, made once.
#[derive(Clone)]
pub(crate) struct Docs {
    document: Bytes,
    page: Arc<Config<'static>>,
    /// The files of the page that were asked for, so that none is copied for each who asks.
    files: Arc<Mutex<HashMap<String, (String, Bytes)>>>,
}

impl Docs {
    /// The document of the routes, and the page that shows it.
    pub(crate) fn new() -> Self {
        // Else the page asks a validator elsewhere what it thinks of the document.
        let page = Config::new([format!("{}/openapi.json", root())]).validator_url("none");
        Self { document: document().into(), page: Arc::new(page), files: Arc::default() }
    }

    /// A file of the page with its media type. There are few: what is not one of them is not kept.
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

/// The document.
pub(super) async fn get(docs: Data<Docs>) -> HttpResponse {
    HttpResponse::Ok().content_type("application/json").body(docs.document.clone())
}

/// To where the page's own files are found.
pub(super) async fn to_page() -> HttpResponse {
    HttpResponse::PermanentRedirect().insert_header((LOCATION, format!("{}/docs/", root()))).finish()
}

/// A file of the page, from within the program.
pub(super) async fn page(file: Path<String>, docs: Data<Docs>) -> Result<HttpResponse, ApiError> {
    let (media_type, bytes) = docs.file(&file).ok_or(ApiError::NoRoute { hint: None })?;
    let policy = (CONTENT_SECURITY_POLICY, PAGE_POLICY);
    Ok(HttpResponse::Ok().content_type(media_type).insert_header(policy).body(bytes))
}
