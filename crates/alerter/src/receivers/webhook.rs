//! A webhook: the JSON of Alertmanager's own (version 4), so that whatever reads those reads these,
//! with the headers of Standard Webhooks.
//!
//! Sources: "Alerting configuration", `<webhook_config>`, prometheus.io; standardwebhooks.com.

use std::collections::BTreeMap;

use base64::{Engine, engine::general_purpose::STANDARD};
use hmac::{Hmac, KeyInit, Mac};
use jiff::Timestamp;
use pisync_core::models::Summary;
use serde::{Deserialize, Serialize};
use sha2::Sha256;

use super::{
    http::{Authorities, Endpoint},
    labels,
    payload::{AlertItem, Annotations},
};
use crate::{
    messages::Messages,
    notification::{Delivery, Notification},
    tables::{
        Table,
        values::{Hidden, WebAddress},
    },
};

/// What a secret may begin with, as the libraries write it.
const SECRET_PREFIX: &str = "whsec_";

/// The keys of the file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Settings {
    url: Option<WebAddress>,
    url_file: Option<WebAddress>,
    secret_file: Option<Key>,
    bearer_file: Option<Hidden>,
    ca_file: Option<Authorities>,
}

/// A receiver that gets Alertmanager's JSON.
#[derive(Debug)]
pub(crate) struct Webhook {
    endpoint: Endpoint,
    key: Option<Key>,
}

/// The key of the signatures.
#[derive(Deserialize)]
#[serde(try_from = "String")]
struct Key(Vec<u8>);

/// Labels that alerts have in common.
type Group = BTreeMap<String, String>;

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Payload<'a> {
    receiver: &'a str,
    status: &'static str,
    alerts: Vec<AlertItem>,
    group_labels: &'a Group,
    common_labels: Group,
    common_annotations: Annotations,
    #[serde(rename = "externalURL")]
    external_url: &'a str,
    version: &'static str,
    group_key: String,
    truncated_alerts: usize,
}

impl Webhook {
    pub(crate) fn new(settings: Settings, table: &mut Table<'_>) -> Option<Self> {
        let Settings { url, url_file, secret_file: key, bearer_file, ca_file } = settings;
        let endpoint = Endpoint::at_either(table, url, url_file, ca_file.as_ref(), bearer_file.as_ref())?;
        Some(Self { endpoint, key })
    }

    pub(crate) async fn send(&self, notification: &Notification, messages: &Messages) -> Delivery {
        let Notification { id, receiver, group, notices, more } = notification;
        let alerts = notices.iter().map(|notice| AlertItem::of(notice, messages)).collect();
        self.post(id, &Payload::of(receiver, group, alerts, *more, messages)).await
    }

    /// As an alert that is over, so that nothing is left open by it.
    pub(crate) async fn send_summary(&self, name: &str, summary: &Summary, messages: &Messages) -> Delivery {
        let item = AlertItem::of_week(summary, messages);
        let group = item.labels.clone();
        self.post(summary.id.as_str(), &Payload::of(name, &group, vec![item], 0, messages)).await
    }

    async fn post(&self, id: &str, payload: &Payload<'_>) -> Delivery {
        let body = match serde_json::to_vec(payload) {
            Ok(body) => body,
            Err(error) => return Delivery::Dead { why: format!("no JSON can be made of it: {error}") },
        };
        let at = Timestamp::now().as_second();
        let mut headers = vec![("webhook-id", id.to_owned()), ("webhook-timestamp", at.to_string())];
        headers.extend(self.key.as_ref().map(|key| ("webhook-signature", key.sign(id, at, &body))));
        self.endpoint.post(body, &headers).await
    }
}

impl<'a> Payload<'a> {
    fn of(receiver: &'a str, group: &'a Group, alerts: Vec<AlertItem>, more: usize, messages: &'a Messages) -> Self {
        let all_labels: Vec<_> = alerts.iter().map(|alert| alert.labels.clone()).collect();
        let all_annotations: Vec<_> = alerts.iter().map(|alert| alert.annotations.clone()).collect();
        let is_firing = alerts.iter().any(|alert| alert.status == "firing");
        Self {
            receiver,
            status: if is_firing { "firing" } else { "resolved" },
            group_labels: group,
            common_labels: labels::common(&all_labels),
            common_annotations: labels::common(&all_annotations),
            external_url: messages.links.base().unwrap_or_default(),
            version: "4",
            group_key: group_key(group),
            truncated_alerts: more,
            alerts,
        }
    }
}

/// As Alertmanager writes it for its first route.
fn group_key(group: &Group) -> String {
    let labels: Vec<_> = group.iter().map(|(label, value)| format!("{label}={value:?}")).collect();
    format!("{{}}:{{{}}}", labels.join(", "))
}

impl TryFrom<String> for Key {
    type Error = &'static str;

    fn try_from(secret: String) -> Result<Self, Self::Error> {
        let bytes = STANDARD.decode(secret.strip_prefix(SECRET_PREFIX).unwrap_or(&secret)).ok();
        let bytes = bytes.filter(|bytes| (24..=64).contains(&bytes.len()));
        bytes.map(Self).ok_or("must be whsec_ and 24 to 64 bytes in base64")
    }
}

impl Key {
    /// The signature of a body, of the scheme `v1`.
    fn sign(&self, id: &str, at: i64, body: &[u8]) -> String {
        let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(&self.0) else { return String::new() };
        mac.update(format!("{id}.{at}.").as_bytes());
        mac.update(body);
        format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()))
    }
}

impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("(secret)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of the specification's own libraries.
    #[test]
    fn a_signature_is_that_of_the_standard() {
        let key = Key::try_from("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw".to_owned()).unwrap();
        let signature = key.sign("msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, br#"{"test": 2432232314}"#);
        assert_eq!(signature, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
        assert_eq!(format!("{key:?}"), "(secret)");
    }

    #[test]
    fn a_key_that_is_too_short_or_no_base64_is_none() {
        for secret in ["whsec_aHVudGVyMg==", "hunter2 hunter2 hunter2 hunter2 hunter2"] {
            assert!(Key::try_from(secret.to_owned()).is_err());
        }
    }
}
