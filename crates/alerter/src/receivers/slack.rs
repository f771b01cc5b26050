//! Slack, by an incoming webhook (and compatible chats: Mattermost, Rocket.Chat).

use pisync_core::{
    models::{NotificationKind, Summary},
    settings::Secret,
};
use serde::Deserialize;
use serde_json::{Value, json};

use super::http::{Authorities, Endpoint};
use crate::{
    messages::{Format, Messages},
    notification::{AlertNotification, Delivery, Notification},
    tables::{Table, WebAddress},
};

/// The maximum number of alerts with details; more alerts get a line each.
const IN_DETAIL: usize = 5;

/// The maximum number of lines in an attachment: Slack cuts long ones.
const LINES: usize = 10;

/// The keys of the file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(clippy::struct_field_names, reason = "the keys of the file")]
pub(crate) struct Settings {
    url_file: WebAddress,
    bearer_file: Option<Secret>,
    ca_file: Option<Authorities>,
}

/// A channel of Slack.
#[derive(Debug)]
pub(crate) struct Slack(Endpoint);

impl Slack {
    pub(crate) fn new(settings: Settings, table: &mut Table<'_>) -> Option<Self> {
        let Settings { url_file: WebAddress(url), bearer_file, ca_file } = settings;
        Endpoint::new(table, url, ca_file, bearer_file).map(Self)
    }

    pub(crate) async fn send(&self, notification: &Notification, messages: &Messages) -> Delivery {
        self.0.post(message(notification, messages).to_string().into_bytes(), &[]).await
    }

    pub(crate) async fn send_summary(&self, summary: &Summary, messages: &Messages) -> Delivery {
        let (subject, text) = messages.week(summary, Format::Chat);
        let message = json!({ "text": subject, "attachments": [{ "text": text }] });
        self.0.post(message.to_string().into_bytes(), &[]).await
    }
}

fn message(notification: &Notification, messages: &Messages) -> Value {
    let is_short = notification.notices.len() <= IN_DETAIL;
    let mut attachments = Vec::new();
    for (is_resolved, color) in [(false, "danger"), (true, "good")] {
        let some =
            notification.notices.iter().filter(|notice| (notice.kind == NotificationKind::Resolved) == is_resolved);
        let texts: Vec<_> = some.map(|notice| text(notice, messages, is_short)).collect();
        let attachment = |texts: &[String]| json!({ "color": color, "text": texts.join("\n") });
        attachments.extend(texts.chunks(if is_short { 1 } else { LINES }).map(attachment));
    }
    attachments.extend(messages.rest(notification).map(|rest| json!({ "text": rest })));
    json!({ "text": messages.subject(notification, Format::Chat), "attachments": attachments })
}

fn text(notice: &AlertNotification, messages: &Messages, is_short: bool) -> String {
    if is_short {
        return messages.alert(notice, Format::Chat).lines().join("\n");
    }
    let headline = messages.alert(notice, Format::Chat).headline;
    messages.links.page(&notice.alert).map_or(headline.clone(), |link| format!("{headline} <{link}|…>"))
}
