//! `[[receiver]]`: one receiver as the file describes it.

use std::time::Duration;

use pisync_core::models::{Entry, Summary};
use serde::{Deserialize, Deserializer, de::Error};

use super::Grouping;
use crate::{
    messages::Messages,
    notification::{Delivery, Notification},
    receivers::{
        alertmanager::{self, Alertmanager},
        email::{self, Email},
        pagerduty::{self, PagerDuty},
        slack::{self, Slack},
        webhook::{self, Webhook},
    },
    tables::{
        Table,
        values::{Length, Text},
    },
};

/// How long a receiver may take, unless the file says another time.
const RECEIVER_TIMEOUT: Duration = Duration::from_secs(10);

/// One `[[receiver]]`.
#[derive(Debug)]
pub struct Receiver {
    pub(crate) name: String,
    timeout: Duration,
    kind: Kind,
}

/// A name: the key of each group of messages begins with it, and it must be found there again.
struct Name(String);

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
enum Kind {
    Alertmanager(Alertmanager),
    Email(Box<Email>),
    PagerDuty(PagerDuty),
    Slack(Slack),
    Webhook(Webhook),
}

impl Receiver {
    pub(super) fn read(table: &mut Table<'_>) -> Option<Self> {
        let name = table.take("name");
        let name = table.need("name", name).map(|Name(name)| name);
        // Less than the lease of a message.
        let timeout = table.take("timeout").map_or(RECEIVER_TIMEOUT, |Length::<1, 20>(timeout)| timeout);
        let kind = table.read().and_then(|settings| Kind::new(settings, table));
        Some(Self { name: name?, timeout, kind: kind? })
    }

    /// Returns how messages to it are grouped where no route says otherwise.
    pub(super) fn grouping(&self) -> Grouping {
        match &self.kind {
            Kind::Alertmanager(_) | Kind::PagerDuty(_) => Grouping::each_alone(),
            Kind::Webhook(_) => Grouping::for_programs(),
            Kind::Email(_) | Kind::Slack(_) => Grouping::for_people(),
        }
    }

    /// Returns whether it keeps the state of each alert by itself: each has to be in a message to it,
    /// and it gets no summaries.
    pub(super) fn keeps_state(&self) -> bool {
        match &self.kind {
            Kind::Alertmanager(_) | Kind::PagerDuty(_) => true,
            Kind::Email(_) | Kind::Slack(_) | Kind::Webhook(_) => false,
        }
    }

    /// Returns the Alertmanager that this is, if it is one.
    pub(super) fn alertmanager(&self) -> Option<&Alertmanager> {
        match &self.kind {
            Kind::Alertmanager(alertmanager) => Some(alertmanager),
            _ => None,
        }
    }

    /// Delivers, or gives up when the time is over.
    pub(super) async fn send(&self, notification: &Notification, messages: &Messages) -> Delivery {
        let sending = async {
            match &self.kind {
                Kind::Alertmanager(alertmanager) => alertmanager.send(notification, messages).await,
                Kind::Email(email) => email.send(notification, messages).await,
                Kind::PagerDuty(pagerduty) => pagerduty.send(notification, messages).await,
                Kind::Slack(slack) => slack.send(notification, messages).await,
                Kind::Webhook(webhook) => webhook.send(notification, messages).await,
            }
        };
        self.in_time(sending).await
    }

    /// Sends a weekly summary, or gives up when the time is over.
    pub(super) async fn send_summary(&self, summary: &Summary, messages: &Messages) -> Delivery {
        let sending = async {
            match &self.kind {
                Kind::Email(email) => email.send_summary(summary, messages).await,
                Kind::Slack(slack) => slack.send_summary(summary, messages).await,
                Kind::Webhook(webhook) => webhook.send_summary(&self.name, summary, messages).await,
                Kind::Alertmanager(_) | Kind::PagerDuty(_) => Delivery::Dead { why: "it gets no summaries".to_owned() },
            }
        };
        self.in_time(sending).await
    }

    async fn in_time(&self, sending: impl Future<Output = Delivery>) -> Delivery {
        let seconds = self.timeout.as_secs_f64();
        let late = || Delivery::Again { after: None, why: format!("no answer within {seconds} s") };
        tokio::time::timeout(self.timeout, sending).await.unwrap_or_else(|_| late())
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

impl<'de> Deserialize<'de> for Name {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let Text(name) = Text::deserialize(deserializer)?;
        let is_clear = !name.contains(Entry::LABELS_BEGIN);
        let what = || D::Error::custom(format!("must have no {} in it", Entry::LABELS_BEGIN));
        is_clear.then_some(Self(name)).ok_or_else(what)
    }
}
