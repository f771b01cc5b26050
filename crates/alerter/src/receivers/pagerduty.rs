//! `PagerDuty`, by its Events API v2: an event for each alert, one incident there for one here.

use reqwest::Url;
use serde_json::{Value, json};

use super::{
    http::{Access, Endpoint},
    payload,
    wording::{self, Wording},
};
use crate::{
    alert_config::{Section, field},
    notification::{Delivery, Notice, Notification, Reason},
};

/// Where `PagerDuty` takes events.
const EVENTS: &str = "https://events.pagerduty.com/v2/enqueue";

/// The longest summary that it takes.
const SUMMARY: usize = 1024;

/// The severities that it knows.
const SEVERITIES: [&str; 4] = ["critical", "error", "warning", "info"];

/// A service of `PagerDuty`.
#[derive(Debug)]
pub(super) struct PagerDuty {
    endpoint: Endpoint,
    routing_key: pisync_core::settings::Secret,
    severity: &'static str,
}

impl PagerDuty {
    pub(super) fn read(section: &mut Section<'_>) -> Option<Self> {
        let access = Access::read(section);
        let routing_key = section.needed_secret("routing_key");
        let severity = section.take("severity", severity).unwrap_or("error");
        let url = section.take("url", field::url).or_else(|| Url::parse(EVENTS).ok());
        let endpoint = Endpoint::new(section, url?, &access);
        Some(Self { endpoint: endpoint?, routing_key: routing_key?, severity })
    }

    /// An event that comes again is the same incident there.
    pub(super) async fn send(&self, notification: &Notification, wording: &Wording) -> Delivery {
        for notice in &notification.notices {
            let event = self.event(notice, wording).to_string().into_bytes();
            match self.endpoint.post(event, &[]).await {
                Delivery::Sent => {}
                other => return other.without(&self.routing_key),
            }
        }
        Delivery::Sent
    }

    fn event(&self, notice: &Notice, wording: &Wording) -> Value {
        let alert = &notice.alert;
        let mut event = json!({
            "routing_key": self.routing_key.expose(),
            "event_action": if notice.reason == Reason::Resolved { "resolve" } else { "trigger" },
            "dedup_key": alert.id.to_string(),
            "client": "PiSync",
            "payload": {
                "summary": Wording::headline(notice).chars().take(SUMMARY).collect::<String>(),
                "source": wording::subject(alert),
                "severity": self.severity,
                "timestamp": payload::rfc3339(alert.starts_at),
                "class": alert.name.as_str(),
                "custom_details": wording.details(notice).into_iter()
                    .map(|(name, detail)| (name.to_owned(), Value::from(detail)))
                    .collect::<serde_json::Map<_, _>>(),
            },
        });
        if let Some(link) = wording.link(notice) {
            event["client_url"] = link.clone().into();
            event["links"] = json!([{ "href": link, "text": "the device" }]);
        }
        event
    }
}

fn severity(value: &toml::de::DeValue<'_>) -> Result<&'static str, String> {
    let word = field::text(value)?;
    let known = SEVERITIES.into_iter().find(|known| *known == word);
    known.ok_or_else(|| format!("must be one of {}", SEVERITIES.join(", ")))
}
