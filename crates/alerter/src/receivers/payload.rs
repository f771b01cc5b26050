//! An alert as Prometheus and Alertmanager write it: labels, annotations, times.

use std::collections::BTreeMap;

use jiff::Timestamp;
use pisync_core::{
    models::{ALERTNAME, NotificationKind, Summary},
    time::rfc3339,
};
use serde::Serialize;

use crate::{
    messages::{Format, Messages},
    notification::AlertNotification,
};

/// The time that Go writes where there is none.
pub(super) const NO_TIME: &str = "0001-01-01T00:00:00Z";

/// What a summary is called where alerts have the name of their rule.
pub(super) const WEEKLY_SUMMARY: &str = "WeeklySummary";

/// One alert in the webhook of Alertmanager, version 4.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct AlertItem {
    pub(super) status: &'static str,
    pub(super) labels: BTreeMap<String, String>,
    pub(super) annotations: BTreeMap<String, String>,
    pub(super) starts_at: String,
    pub(super) ends_at: String,
    #[serde(rename = "generatorURL")]
    pub(super) generator_url: String,
    pub(super) fingerprint: String,
}

impl AlertItem {
    pub(super) fn of(notice: &AlertNotification, messages: &Messages) -> Self {
        let labels = notice.alert.labels();
        Self {
            status: notice.kind.status(),
            annotations: annotations(notice, messages),
            starts_at: rfc3339(notice.alert.starts_at),
            ends_at: ends_at(notice).map_or_else(|| NO_TIME.to_owned(), rfc3339),
            generator_url: messages.links.page(&notice.alert).unwrap_or_default(),
            fingerprint: fingerprint(&labels),
            labels,
        }
    }

    /// A week, as an alert that is over. Its numbers are annotations.
    pub(super) fn of_week(summary: &Summary, messages: &Messages) -> Self {
        let labels = BTreeMap::from([(ALERTNAME.to_owned(), WEEKLY_SUMMARY.to_owned())]);
        let figures = summary.figures.iter().map(|(name, value)| (name.clone(), value.to_string()));
        let texts = [
            ("summary", summary.subject.clone()),
            ("description", messages.week(summary, Format::Plain).1),
            ("week", summary.week.clone()),
        ];
        Self {
            status: "resolved",
            annotations: figures.chain(texts.map(|(name, text)| (name.to_owned(), text))).collect(),
            starts_at: rfc3339(summary.from),
            ends_at: rfc3339(summary.to),
            generator_url: messages.links.base().map(|base| format!("{base}/")).unwrap_or_default(),
            fingerprint: fingerprint(&labels),
            labels,
        }
    }
}

/// When it was over, if it is; never before it began, which Alertmanager refuses.
pub(super) fn ends_at(notice: &AlertNotification) -> Option<Timestamp> {
    let ends_at = notice.alert.ends_at.filter(|_| notice.kind == NotificationKind::Resolved);
    ends_at.map(|at| at.max(notice.alert.starts_at))
}

/// `summary`, `description`, and each detail by itself for templates.
pub(super) fn annotations(notice: &AlertNotification, messages: &Messages) -> BTreeMap<String, String> {
    let text = messages.alert(notice, Format::Plain);
    let mut annotations = vec![
        ("summary", text.headline.clone()),
        ("description", text.lines().join("\n")),
        ("alertId", notice.alert.id.to_string()),
    ];
    annotations.extend(notice.failures().map(|(count, _)| ("failureCount", count.to_string())));
    annotations.extend(notice.failures().map(|(_, cause)| ("cause", cause.to_owned())));
    annotations.extend(notice.context.last_good_sync.map(|at| ("lastGoodSync", rfc3339(at))));
    annotations.into_iter().map(|(name, text)| (name.to_owned(), text)).collect()
}

/// The fingerprint that Prometheus and Alertmanager give these labels: FNV-1a of 64 bits over each
/// name and value in order of the names, each followed by a byte that no UTF-8 has.
/// Source: `LabelSet.Fingerprint` of prometheus/common.
fn fingerprint(labels: &BTreeMap<String, String>) -> String {
    let texts = labels.iter().flat_map(|(name, value)| [name.as_str(), value.as_str()]);
    let bytes = texts.flat_map(|text| text.bytes().chain([0xff]));
    let hash = bytes
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3));
    format!("{hash:016x}")
}
