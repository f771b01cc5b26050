//! A webhook with the JSON of Alertmanager (version 4), so that its readers work here too, and the headers of
//! Standard Webhooks.
//!
//! Sources: "Alerting configuration", `<webhook_config>`, prometheus.io; standardwebhooks.com.

use std::collections::BTreeMap;

use base64::{Engine, engine::general_purpose::STANDARD};
use hmac::{Hmac, KeyInit, Mac};
use jiff::Timestamp;
use pisync_core::{models::Summary, settings::Secret};
use serde::Deserialize;
use serde_json::{Value, json};
use sha2::Sha256;

use super::{
    http::{Address, Authorities, Endpoint},
    payload::AlertItem,
};
use crate::{
    messages::Messages,
    notification::{Delivery, Notification},
    tables::{Table, WebAddress},
};

/// The optional prefix of a secret, as the libraries write it.
const SECRET_PREFIX: &str = "whsec_";

/// The keys of the file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Settings {
    url: Option<WebAddress>,
    url_file: Option<WebAddress>,
    secret_file: Option<Key>,
    bearer_file: Option<Secret>,
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

/// Labels or annotations that alerts have in common.
type Group = BTreeMap<String, String>;

impl Webhook {
    pub(crate) fn new(settings: Settings, table: &mut Table<'_>) -> Option<Self> {
        let Settings { url, url_file, secret_file: key, bearer_file, ca_file } = settings;
        let endpoint = Endpoint::at(table, Address { url, url_file, bearer_file, ca_file })?;
        Some(Self { endpoint, key })
    }

    pub(crate) async fn send(&self, notification: &Notification, messages: &Messages) -> Delivery {
        let Notification { id, receiver, group, notices, more } = notification;
        let alerts: Vec<_> = notices.iter().map(|notice| AlertItem::of(notice, messages)).collect();
        self.post(id, &payload(receiver, group, &alerts, *more, messages)).await
    }

    /// Sends a weekly summary as a resolved alert, so that nothing stays open by it.
    pub(crate) async fn send_summary(&self, name: &str, summary: &Summary, messages: &Messages) -> Delivery {
        let item = AlertItem::of_week(summary, messages);
        let group = item.labels.clone();
        self.post(summary.id.as_str(), &payload(name, &group, &[item], 0, messages)).await
    }

    async fn post(&self, id: &str, payload: &Value) -> Delivery {
        let body = payload.to_string().into_bytes();
        let at = Timestamp::now().as_second();
        let mut headers = vec![("webhook-id", id.to_owned()), ("webhook-timestamp", at.to_string())];
        headers.extend(self.key.as_ref().map(|key| ("webhook-signature", key.sign(id, at, &body))));
        self.endpoint.post(body, &headers).await
    }
}

fn payload(receiver: &str, group: &Group, alerts: &[AlertItem], more: usize, messages: &Messages) -> Value {
    let is_firing = alerts.iter().any(|alert| alert.status == "firing");
    json!({
        "receiver": receiver,
        "status": if is_firing { "firing" } else { "resolved" },
        "groupLabels": group,
        "commonLabels": common(alerts.iter().map(|alert| &alert.labels)),
        "commonAnnotations": common(alerts.iter().map(|alert| &alert.annotations)),
        "externalURL": messages.links.base().unwrap_or_default(),
        "version": "4",
        "groupKey": group_key(group),
        "truncatedAlerts": more,
        "alerts": alerts,
    })
}

/// Returns the labels or annotations that all alerts of a message have in common.
fn common<'a>(mut all: impl Iterator<Item = &'a Group>) -> Group {
    let mut common = all.next().cloned().unwrap_or_default();
    all.for_each(|other| common.retain(|name, value| other.get(name) == Some(value)));
    common
}

/// Returns the key of a group, as Alertmanager writes it for its first route.
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
    /// Returns the signature of a body, of the scheme `v1`.
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
