//! Slack, by an incoming webhook (and what speaks the same: Mattermost, Rocket.Chat).

use pisync_core::models::Summary;
use serde_json::{Value, json};

use super::{http::Endpoint, wording, wording::Wording};
use crate::{
    alert_config::Section,
    notification::{Delivery, Notice, Notification, Reason},
};

/// Up to so many alerts are told with their details, more in a line each.
const IN_DETAIL: usize = 5;

/// How many lines one attachment holds: Slack cuts long ones.
const LINES: usize = 10;

/// A channel of Slack.
#[derive(Debug)]
pub(super) struct Slack {
    endpoint: Endpoint,
}

impl Slack {
    pub(super) fn read(section: &mut Section<'_>) -> Option<Self> {
        Endpoint::read_secret(section).map(|endpoint| Self { endpoint })
    }

    pub(super) async fn send(&self, notification: &Notification, wording: &Wording) -> Delivery {
        self.endpoint.post(message(notification, wording).to_string().into_bytes(), &[]).await
    }

    pub(super) async fn tell(&self, summary: &Summary, wording: &Wording) -> Delivery {
        let lines: Vec<_> = wording.week(summary).iter().map(|line| escape(line)).collect();
        let message = json!({ "text": escape(&summary.subject), "attachments": [{ "text": lines.join("\n") }] });
        self.endpoint.post(message.to_string().into_bytes(), &[]).await
    }
}

fn message(notification: &Notification, wording: &Wording) -> Value {
    let is_short = notification.notices.len() <= IN_DETAIL;
    let mut attachments = Vec::new();
    for (is_resolved, color) in [(false, "danger"), (true, "good")] {
        let some = notification.notices.iter().filter(|notice| (notice.reason == Reason::Resolved) == is_resolved);
        let texts: Vec<_> = some.map(|notice| text(notice, wording, is_short)).collect();
        let attachment = |texts: &[String]| json!({ "color": color, "mrkdwn_in": ["text"], "text": texts.join("\n") });
        attachments.extend(texts.chunks(if is_short { 1 } else { LINES }).map(attachment));
    }
    attachments.extend(wording::rest(notification).map(|rest| json!({ "text": rest })));
    json!({ "text": escape(&Wording::subject(notification)), "attachments": attachments })
}

fn text(notice: &Notice, wording: &Wording, is_short: bool) -> String {
    if is_short {
        return wording.lines(notice).iter().map(|line| escape(line)).collect::<Vec<_>>().join("\n");
    }
    let headline = escape(&Wording::headline(notice));
    wording.link(notice).map_or_else(|| headline.clone(), |link| format!("{headline} <{link}|…>"))
}

/// So that no device's name is a command, such as one that calls the whole channel.
fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
