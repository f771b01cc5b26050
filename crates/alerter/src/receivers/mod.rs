//! The receivers of messages: one file for each kind, and `[[receiver]]`, the list of the kinds.

pub(crate) mod alertmanager;
mod email;
mod http;
pub mod log;
mod pagerduty;
mod payload;
mod slack;
mod webhook;

use std::time::Duration;

use pisync_core::models::{OutboxEntry, Summary};
use serde::Deserialize;

pub use self::http::Ping;
use self::{
    alertmanager::Alertmanager, email::Email, log::AlertLog, pagerduty::PagerDuty, slack::Slack, webhook::Webhook,
};
use crate::{
    messages::Messages,
    notification::{Delivery, Notification},
    tables::{Length, Table, Text},
};

/// The default timeout of a receiver.
const RECEIVER_TIMEOUT: Duration = Duration::from_secs(10);

/// One `[[receiver]]`, or the log.
#[derive(Debug)]
pub struct Receiver {
    pub(crate) name: String,
    timeout: Duration,
    pub(crate) kind: Kind,
}

/// The keys of the file, by the kind of the receiver.
#[derive(Debug, Deserialize)]
#[serde(tag = "type", rename_all = "lowercase")]
enum Settings {
    Alertmanager(alertmanager::Settings),
    Email(email::Settings),
    PagerDuty(pagerduty::Settings),
    Slack(slack::Settings),
    Webhook(webhook::Settings),
}

#[derive(Debug)]
pub(crate) enum Kind {
    Alertmanager(Alertmanager),
    Email(Box<Email>),
    Log(AlertLog),
    PagerDuty(PagerDuty),
    Slack(Slack),
    Webhook(Webhook),
}

/// The reader of a receiver's messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reader {
    People,
    Program,
    /// A program that keeps the state of each alert by itself. It gets no summaries.
    StateKeeper,
    Log,
}

impl Receiver {
    pub(crate) fn read(table: &mut Table<'_>) -> Option<Self> {
        let name = table.take("name");
        let name = table.need("name", name).map(|Text(name)| name);
        // The key of each group of messages begins with the name, which is parsed from it again.
        if name.as_ref().is_some_and(|name| name.contains(OutboxEntry::LABELS_BEGIN)) {
            table.fault("name", format!("must have no {} in it", OutboxEntry::LABELS_BEGIN));
        }
        // Less than the lease of a message.
        let timeout = table.take("timeout").map_or(RECEIVER_TIMEOUT, |Length::<1, 20>(timeout)| timeout);
        let kind = table.read().and_then(|settings| Kind::new(settings, table));
        Some(Self { name: name?, timeout, kind: kind? })
    }

    /// Returns the log, which always exists and has no timeout.
    pub(crate) fn log(log: AlertLog) -> Self {
        Self { name: log::NAME.to_owned(), timeout: Duration::MAX, kind: Kind::Log(log) }
    }

    /// Returns the addresses of messages: the receiver by its name, or each of its mailboxes, so that one that
    /// refuses does not block the others.
    pub(crate) fn addresses(&self) -> Vec<String> {
        match &self.kind {
            Kind::Email(email) => email.mailboxes().map(|mailbox| format!("{}/{mailbox}", self.name)).collect(),
            _ => vec![self.name.clone()],
        }
    }

    pub(crate) fn reader(&self) -> Reader {
        match self.kind {
            Kind::Alertmanager(_) | Kind::PagerDuty(_) => Reader::StateKeeper,
            Kind::Webhook(_) => Reader::Program,
            Kind::Email(_) | Kind::Slack(_) => Reader::People,
            Kind::Log(_) => Reader::Log,
        }
    }

    /// Returns whether a message to it lists all its alerts. A reader that keeps the state of each alert would
    /// lose those that are only counted.
    pub(crate) fn lists_all(&self) -> bool {
        [Reader::StateKeeper, Reader::Log].contains(&self.reader())
    }

    /// Delivers a message, with the receiver's timeout.
    pub(crate) async fn send(&self, notification: &Notification, messages: &Messages) -> Delivery {
        let sending = async {
            match &self.kind {
                Kind::Alertmanager(alertmanager) => alertmanager.send(notification, messages).await,
                Kind::Email(email) => email.send(notification, messages).await,
                Kind::Log(log) => log.send(notification, messages).await,
                Kind::PagerDuty(pagerduty) => pagerduty.send(notification, messages).await,
                Kind::Slack(slack) => slack.send(notification, messages).await,
                Kind::Webhook(webhook) => webhook.send(notification, messages).await,
            }
        };
        Delivery::within(self.timeout, sending).await
    }

    /// Sends a weekly summary to one of its addresses, with the receiver's timeout.
    pub(crate) async fn send_summary(&self, address: &str, summary: &Summary, messages: &Messages) -> Delivery {
        let sending = async {
            match &self.kind {
                Kind::Email(email) => email.send_summary(address, summary, messages).await,
                Kind::Log(log) => log.send_summary(summary).await,
                Kind::Slack(slack) => slack.send_summary(summary, messages).await,
                Kind::Webhook(webhook) => webhook.send_summary(address, summary, messages).await,
                Kind::Alertmanager(_) | Kind::PagerDuty(_) => Delivery::Dead { why: "it gets no summaries".to_owned() },
            }
        };
        Delivery::within(self.timeout, sending).await
    }
}

impl Kind {
    fn new(settings: Settings, table: &mut Table<'_>) -> Option<Self> {
        match settings {
            Settings::Alertmanager(settings) => Alertmanager::new(settings, table).map(Self::Alertmanager),
            Settings::Email(settings) => Email::new(settings, table).map(Box::new).map(Self::Email),
            Settings::PagerDuty(settings) => PagerDuty::new(settings, table).map(Self::PagerDuty),
            Settings::Slack(settings) => Slack::new(settings, table).map(Self::Slack),
            Settings::Webhook(settings) => Webhook::new(settings, table).map(Self::Webhook),
        }
    }
}
