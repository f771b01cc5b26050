//! What a report and a batch are in the `OpenAPI` document.

use std::collections::BTreeMap;

use pisync_core::models::{Labels, ReportError, ReportId};
use serde::Serialize;
use utoipa::{
    ToSchema,
    openapi::{
        ObjectBuilder, RefOr, Schema, SchemaFormat,
        schema::{AnyOfBuilder, SchemaType, Type},
    },
};

use crate::http::schema::moment;

/// One sync attempt of one device.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(example = json!({
    "deviceId": "pibook-1", "timestamp": "2026-11-24T09:00:00Z",
    "totalFilesSynced": 8, "totalErrors": 0, "internetSpeed": 2.5,
    "reportId": "b55b5e5a-aadc-4321-a12d-51b872166d48"
}))]
#[expect(clippy::struct_field_names, reason = "the members are called so")]
pub(super) struct Report {
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

/// A batch that says what the device's clock shows while it sends.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct SentReports {
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
pub(super) struct ReportList(Vec<Report>);

/// What a batch may be.
#[derive(Serialize, ToSchema)]
#[serde(untagged)]
#[expect(dead_code, reason = "it is read by hand, see Batch; this is its description")]
pub(super) enum Reports {
    /// 1 to 1,000 reports.
    Alone(ReportList),
    /// The same with the device's clock.
    Sent(SentReports),
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
