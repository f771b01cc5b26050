//! `PagerDuty`, by its Events API v2: an event for each alert. Each incident here is one incident there.

use std::collections::BTreeMap;

use pisync_core::{models::NotificationKind, settings::Secret, time::rfc3339};
use reqwest::Url;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::http::{Authorities, Endpoint};
use crate::{
    messages::{Format, Links, Messages, subject},
    notification::{AlertNotification, Delivery, Notification},
    tables::{Table, WebAddress},
};

/// The address to which `PagerDuty` events are posted.
const EVENTS: &str = "https://events.pagerduty.com/v2/enqueue";

/// The maximum length of a summary.
const SUMMARY: usize = 1024;

/// The severities of `PagerDuty`.
#[derive(Debug, Clone, Copy, Default, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
enum Severity {
    Critical,
    #[default]
    Error,
    Warning,
    Info,
}

/// The keys of the file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Settings {
    routing_key_file: Secret,
    #[serde(default)]
    severity: Severity,
    url: Option<WebAddress>,
    bearer_file: Option<Secret>,
    ca_file: Option<Authorities>,
}

/// A service of `PagerDuty`.
#[derive(Debug)]
pub(crate) struct PagerDuty {
    endpoint: Endpoint,
    routing_key: Secret,
    severity: Severity,
}

impl PagerDuty {
    pub(crate) fn new(settings: Settings, table: &mut Table<'_>) -> Option<Self> {
        let Settings { routing_key_file: routing_key, severity, url, bearer_file, ca_file } = settings;
        let url = url.map(|WebAddress(url)| url).or_else(|| Url::parse(EVENTS).ok());
        let mut endpoint = Endpoint::new(table, url?, ca_file, bearer_file)?;
        endpoint.routing_key = Some(routing_key.clone());
        Some(Self { endpoint, routing_key, severity })
    }

    /// Sends an event for each alert. A repeated event is the same incident there.
    pub(crate) async fn send(&self, notification: &Notification, messages: &Messages) -> Delivery {
        for notice in &notification.notices {
            let event = self.event(notice, messages).to_string().into_bytes();
            match self.endpoint.post(event, &[]).await {
                Delivery::Sent => {}
                other => return other,
            }
        }
        Delivery::Sent
    }

    fn event(&self, notice: &AlertNotification, messages: &Messages) -> Value {
        let (alert, text) = (&notice.alert, messages.alert(notice, Format::Plain));
        let details = text.details.iter().filter_map(|detail| detail.split_once(": "));
        let mut event = json!({
            "routing_key": self.routing_key.expose(),
            "event_action": if notice.kind == NotificationKind::Resolved { "resolve" } else { "trigger" },
            "dedup_key": alert.id.to_string(),
            "client": "PiSync",
            "payload": {
                "summary": text.headline.chars().take(SUMMARY).collect::<String>(),
                "source": subject(alert),
                "severity": self.severity,
                "timestamp": rfc3339(alert.starts_at),
                "class": alert.name.as_str(),
                "custom_details": details.collect::<BTreeMap<_, _>>(),
            },
        });
        let page = messages.links.page(alert);
        let runbook = messages.links.runbook(alert.name.as_str());
        let links = [(&page, Links::word(alert)), (&runbook, "runbook")];
        let links: Vec<_> = links.into_iter().filter_map(|(link, text)| Some((link.as_ref()?, text))).collect();
        if !links.is_empty() {
            event["links"] = links.iter().map(|(link, text)| json!({ "href": link, "text": text })).collect();
        }
        if let Some(page) = page {
            event["client_url"] = page.into();
        }
        event
    }
}
