//! A silence in the answers of the API, and in its requests.

use jiff::Timestamp;
use pisync_core::{
    models::{Matcher, Silence, schema::moment},
    store::SilenceReach,
    time::rfc3339,
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::http::error::ApiError;

/// Maximum number of matchers of a silence.
const MATCHERS: usize = 20;

/// A silence.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct SilenceItem {
    id: String,
    /// All of them must match: `label=value`, `label^=beginning`, `label=~regular-expression`.
    matchers: Vec<String>,
    starts_at: String,
    /// Null if it lasts until all its alerts are resolved.
    ends_at: Option<String>,
    /// Whether the silence is active.
    active: bool,
    by: String,
    comment: String,
    created_at: String,
}

/// The reach of a silence.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct ReachItem {
    /// Number of devices that it matches, by their ids and their current labels.
    devices: u64,
    /// Number of open alerts that it matches now.
    open_alerts: u64,
}

/// A request to create a silence.
#[derive(Debug, Deserialize, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct SilenceBody {
    /// All of them must match: `label=value`, `label^=beginning`, `label=~regular-expression`; the labels are
    /// `alertname`, `deviceId`, and the labels in each device's newest report.
    #[schema(min_items = 1, max_items = 20)]
    pub(super) matchers: Vec<String>,
    /// Start; default: now.
    #[schema(schema_with = moment, required = false)]
    pub(super) starts_at: Option<serde_json::Value>,
    /// End; default: once all its alerts are resolved.
    #[schema(schema_with = moment, required = false)]
    pub(super) ends_at: Option<serde_json::Value>,
    /// Name of the author; the id of the key is stored beside it.
    #[schema(min_length = 1, max_length = 128, required = false)]
    pub(super) by: Option<String>,
    /// Comment, such as the reason.
    #[schema(max_length = 1_000)]
    pub(super) comment: String,
}

impl SilenceItem {
    pub(super) fn new(silence: &Silence, now: Timestamp) -> Self {
        Self {
            id: silence.id.to_string(),
            matchers: silence.matchers.iter().map(Matcher::to_string).collect(),
            starts_at: rfc3339(silence.starts_at),
            ends_at: silence.end.time().map(rfc3339),
            active: silence.is_active(now),
            by: silence.by.clone(),
            comment: silence.comment.clone(),
            created_at: rfc3339(silence.created_at),
        }
    }
}

impl From<SilenceReach> for ReachItem {
    fn from(SilenceReach { devices, open_alerts }: SilenceReach) -> Self {
        Self { devices, open_alerts }
    }
}

/// Parses the matchers, 1 to 20.
pub(super) fn matchers<'a>(texts: impl ExactSizeIterator<Item = &'a str>) -> Result<Vec<Matcher>, ApiError> {
    if !(1..=MATCHERS).contains(&texts.len()) {
        return Err(ApiError::invalid("/matchers", format!("must be 1 to {MATCHERS}")));
    }
    let read = |(index, text): (usize, &str)| {
        text.parse::<Matcher>().map_err(|error| ApiError::invalid(format!("/matchers/{index}"), error.to_string()))
    };
    texts.enumerate().map(read).collect()
}
