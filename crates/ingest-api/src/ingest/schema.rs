//! The schema of a batch in the `OpenAPI` document.

use pisync_core::models::{
    ReportBody,
    schema::{kept_if, moment},
};
use serde::Serialize;
use utoipa::{ToSchema, openapi::Schema};

/// A batch with the time of the device's clock when it was sent.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct SentReports {
    /// Time of the device's clock. If it is off by more than two minutes, all times of the batch are corrected
    /// by the difference. An invalid time is left out.
    #[schema(schema_with = sent_at, required = false)]
    sent_at: Option<String>,
    /// 1 to 1,000 reports.
    #[schema(value_type = Vec<ReportBody>, min_items = 1, max_items = 1_000)]
    events: Vec<()>,
}

/// 1 to 1,000 reports.
#[derive(Serialize, ToSchema)]
#[schema(value_type = Vec<ReportBody>, min_items = 1, max_items = 1_000)]
pub(super) struct ReportList(Vec<()>);

/// The forms of a batch.
#[derive(Serialize, ToSchema)]
#[serde(untagged)]
#[expect(dead_code, reason = "it is read by hand, see ReportBatch; this is its description")]
pub(super) enum Reports {
    /// 1 to 1,000 reports.
    Alone(ReportList),
    /// 1 to 1,000 reports with the time of the device's clock.
    Sent(SentReports),
}

fn sent_at() -> Schema {
    kept_if(moment())
}
