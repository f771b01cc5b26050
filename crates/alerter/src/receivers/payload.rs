//! An alert in the form of Prometheus and Alertmanager: labels, annotations, times.

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

/// The time that Go writes for a missing one.
pub(super) const NO_TIME: &str = "0001-01-01T00:00:00Z";

/// The name of a summary in place of a rule's name.
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

    /// Returns a weekly summary as a resolved alert. Its numbers are annotations.
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

/// Returns the end of a resolved alert. It is never before the start, which Alertmanager refuses.
pub(super) fn ends_at(notice: &AlertNotification) -> Option<Timestamp> {
    let ends_at = notice.alert.ends_at.filter(|_| notice.kind == NotificationKind::Resolved);
    ends_at.map(|at| at.max(notice.alert.starts_at))
}

/// Returns the annotations: `summary`, `description`, and further facts by name for templates.
pub(super) fn annotations(notice: &AlertNotification, messages: &Messages) -> BTreeMap<String, String> {
    let text = messages.alert(notice, Format::Plain);
    let mut annotations = vec![
        ("summary", text.headline.clone()),
        ("description", text.lines().join("\n")),
        ("alertId", notice.alert.id.to_string()),
    ];
    annotations.extend(notice.failures().map(|(count, _)| ("failureCount", count.to_string())));
    annotations.extend(notice.failures().map(|(_, cause)| ("cause", cause.to_owned())));
    annotations.extend(messages.links.runbook(notice.alert.name.as_str()).map(|link| ("runbook_url", link)));
    annotations.extend(notice.context.last_good_sync.map(|at| ("lastGoodSync", rfc3339(at))));
    annotations.into_iter().map(|(name, text)| (name.to_owned(), text)).collect()
}

/// Returns the fingerprint of these labels, the same as in Prometheus and Alertmanager. It is FNV-1a of 64 bits
/// over each name and value in order of the names, each followed by a byte that no UTF-8 has.
///
/// Source: `LabelSet.Fingerprint` of prometheus/common.
fn fingerprint(labels: &BTreeMap<String, String>) -> String {
    let texts = labels.iter().flat_map(|(name, value)| [name.as_str(), value.as_str()]);
    let bytes = texts.flat_map(|text| text.bytes().chain([0xff]));
    let hash = bytes
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3));
    format!("{hash:016x}")
}
