//! One receiver as the config describes it.

use std::time::Duration;

use pisync_core::models::{Entry, Summary};

use super::{
    alertmanager::Alertmanager, email::Email, pagerduty::PagerDuty, route::Grouping, slack::Slack, webhook::Webhook,
    wording::Wording,
};
use crate::{
    alert_config::{Section, field},
    notification::{Delivery, Notification},
};

/// How long a receiver may take, unless the config says another time.
const PATIENCE: Duration = Duration::from_secs(10);

/// How long it may be told to take: less than a message is left to one alerter.
const MOST_PATIENCE: Duration = Duration::from_secs(20);

/// One `[[receiver]]`.
#[derive(Debug)]
pub struct Receiver {
    pub(crate) name: String,
    pub(crate) line: usize,
    timeout: Duration,
    kind: Kind,
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
    pub(crate) fn read(section: &mut Section<'_>) -> Option<Self> {
        let line = section.line();
        let name = section.need("name", name);
        let within = field::duration_within(Duration::from_secs(1), MOST_PATIENCE);
        let timeout = section.take("timeout", within).unwrap_or(PATIENCE);
        let type_line = section.line_of("type");
        let kind = match section.need("type", field::text).as_deref() {
            Some("alertmanager") => Alertmanager::read(section).map(Kind::Alertmanager),
            Some("email") => Email::read(section).map(Box::new).map(Kind::Email),
            Some("pagerduty") => PagerDuty::read(section).map(Kind::PagerDuty),
            Some("slack") => Slack::read(section).map(Kind::Slack),
            Some("webhook") => Webhook::read(section).map(Kind::Webhook),
            unknown => {
                if unknown.is_some() {
                    section.problem(type_line, "type", "must be alertmanager, email, pagerduty, slack or webhook");
                }
                section.forget();
                None
            }
        };
        Some(Self { name: name?, line, timeout, kind: kind? })
    }

    /// How messages to it are grouped where no route says otherwise.
    pub(crate) fn grouping(&self) -> Grouping {
        match &self.kind {
            Kind::Alertmanager(_) | Kind::PagerDuty(_) => Grouping::each_alone(),
            Kind::Webhook(_) => Grouping::for_programs(),
            Kind::Email(_) | Kind::Slack(_) => Grouping::for_people(),
        }
    }

    /// Whether each alert has to be in a message to it.
    pub(super) fn lists_all(&self) -> bool {
        match &self.kind {
            Kind::Alertmanager(_) | Kind::PagerDuty(_) => true,
            Kind::Email(_) | Kind::Slack(_) | Kind::Webhook(_) => false,
        }
    }

    /// Whether it can be told how a week was: what keeps the state of alerts cannot.
    pub(crate) fn takes_summaries(&self) -> bool {
        match &self.kind {
            Kind::Alertmanager(_) | Kind::PagerDuty(_) => false,
            Kind::Email(_) | Kind::Slack(_) | Kind::Webhook(_) => true,
        }
    }

    /// The Alertmanager that this is, if it is one.
    pub(super) fn alertmanager(&self) -> Option<&Alertmanager> {
        match &self.kind {
            Kind::Alertmanager(alertmanager) => Some(alertmanager),
            _ => None,
        }
    }

    /// Delivers, or gives up when the time is over.
    pub(crate) async fn send(&self, notification: &Notification, wording: &Wording) -> Delivery {
        let sending = async {
            match &self.kind {
                Kind::Alertmanager(alertmanager) => alertmanager.send(notification, wording).await,
                Kind::Email(email) => email.send(notification, wording).await,
                Kind::PagerDuty(pagerduty) => pagerduty.send(notification, wording).await,
                Kind::Slack(slack) => slack.send(notification, wording).await,
                Kind::Webhook(webhook) => webhook.send(notification, wording).await,
            }
        };
        self.in_time(sending).await
    }

    /// Tells it how a week was, or gives up when the time is over.
    pub(crate) async fn tell(&self, summary: &Summary, wording: &Wording) -> Delivery {
        let telling = async {
            match &self.kind {
                Kind::Email(email) => email.tell(summary, wording).await,
                Kind::Slack(slack) => slack.tell(summary, wording).await,
                Kind::Webhook(webhook) => webhook.tell(&self.name, summary, wording).await,
                Kind::Alertmanager(_) | Kind::PagerDuty(_) => Delivery::Dead { why: "it gets no summaries".to_owned() },
            }
        };
        self.in_time(telling).await
    }

    async fn in_time(&self, sending: impl Future<Output = Delivery>) -> Delivery {
        let seconds = self.timeout.as_secs_f64();
        let late = || Delivery::Again { after: None, why: format!("no answer within {seconds} s") };
        tokio::time::timeout(self.timeout, sending).await.unwrap_or_else(|_| late())
    }
}

/// A name: with it begins the key of each group of messages, from which it must be read again.
fn name(value: &toml::de::DeValue<'_>) -> Result<String, String> {
    let name = field::text(value)?;
    let is_clear = !name.contains(Entry::LABELS_BEGIN);
    is_clear.then_some(name).ok_or_else(|| format!("must have no {} in it", Entry::LABELS_BEGIN))
}
