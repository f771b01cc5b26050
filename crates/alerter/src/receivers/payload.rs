//! An alert as Prometheus and Alertmanager write it: labels, annotations, times.

use std::collections::BTreeMap;

use jiff::Timestamp;
use pisync_core::models::{Summary, Telling};
use serde::Serialize;

use super::labels;
use crate::{
    messages::{Format, Messages},
    notification::AlertNotification,
};

/// The time that Go writes where there is none.
pub(super) const NO_TIME: &str = "0001-01-01T00:00:00Z";

/// What a summary is called where alerts have the name of their rule.
pub(super) const WEEKLY_SUMMARY: &str = "WeeklySummary";

/// What people read of an alert, by name.
pub(super) type Annotations = BTreeMap<String, String>;

/// One alert in the webhook of Alertmanager, version 4.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct AlertItem {
    pub(super) status: &'static str,
    pub(super) labels: BTreeMap<String, String>,
    pub(super) annotations: Annotations,
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
            generator_url: messages.link(notice).unwrap_or_default(),
            fingerprint: labels::fingerprint(&labels),
            labels,
        }
    }

    /// A week, as an alert that is over. Its numbers are annotations.
    pub(super) fn of_week(summary: &Summary, messages: &Messages) -> Self {
        let labels = BTreeMap::from([(labels::ALERTNAME.to_owned(), WEEKLY_SUMMARY.to_owned())]);
        let mut annotations: Annotations =
            summary.figures.iter().map(|(name, value)| (name.clone(), value.to_string())).collect();
        let texts = [
            ("summary", summary.subject.clone()),
            ("description", messages.week(summary, Format::Plain).join("\n")),
            ("week", summary.week.clone()),
        ];
        annotations.extend(texts.map(|(name, text)| (name.to_owned(), text)));
        Self {
            status: "resolved",
            annotations,
            starts_at: rfc3339(summary.from),
            ends_at: rfc3339(summary.to),
            generator_url: messages.links.base().map(|base| format!("{base}/")).unwrap_or_default(),
            fingerprint: labels::fingerprint(&labels),
            labels,
        }
    }
}

/// When it was over, if it is; never before it began, which Alertmanager refuses.
pub(super) fn ends_at(notice: &AlertNotification) -> Option<Timestamp> {
    let ends_at = notice.alert.ends_at.filter(|_| notice.kind == Telling::Resolved);
    ends_at.map(|at| at.max(notice.alert.starts_at))
}

/// `summary`, `description`, and each detail by itself for templates.
pub(super) fn annotations(notice: &AlertNotification, messages: &Messages) -> Annotations {
    let text = messages.alert(notice, Format::Plain);
    let mut annotations = vec![
        ("summary", text.headline.clone()),
        ("description", text.lines().join("\n")),
        ("alertId", notice.alert.id.to_string()),
        ("cause", notice.alert.cause.as_str().to_owned()),
        ("failureCount", notice.alert.failure_count.to_string()),
    ];
    let last = notice.context.last_good_sync.map(|at| ("lastGoodSync", rfc3339(at)));
    annotations.extend(last);
    annotations.into_iter().map(|(name, text)| (name.to_owned(), text)).collect()
}

/// In milliseconds, as everything here.
pub(super) fn rfc3339(timestamp: Timestamp) -> String {
    format!("{timestamp:.3}")
}
