//! The texts of messages. Each rule has a template for log, mail, chats, pages and webhooks; shared ones are here.

mod context;
mod escape;
mod links;
mod words;

use std::sync::Arc;

use minijinja::{AutoEscape, Environment, Value};
use pisync_core::{models::Summary, text::grouped};

pub use self::links::Links;
pub(crate) use self::{
    escape::Format,
    words::{in_words, minute, subject},
};
use crate::{
    notification::{AlertNotification, Notification},
    rules::RULES,
};

/// The shared templates, by name. The template of a rule has the rule's name.
const SHARED: [(&str, &str); 3] = [
    ("base.txt", include_str!("en/base.txt")),
    ("message", include_str!("en/message.txt")),
    ("summary", include_str!("en/summary.txt")),
];

/// Renders messages. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Messages {
    pub(crate) links: Links,
    /// The speed in Mbps below which the cause is the connection.
    floor_mbps: f64,
    /// The prefix of each headline.
    mark: &'static str,
    plain: Arc<Environment<'static>>,
    chat: Arc<Environment<'static>>,
}

/// The text of one alert in a message.
#[derive(Debug)]
pub(crate) struct AlertText {
    /// The headline, in one line that fits a phone.
    pub(crate) headline: String,
    /// The details, each a name, a colon and a text, most important first.
    pub(crate) details: Vec<String>,
    /// The links to the page of its subject and to the runbook, in the same form.
    links: Vec<String>,
}

impl AlertText {
    /// Returns all its lines.
    pub(crate) fn lines(self) -> Vec<String> {
        [self.headline].into_iter().chain(self.details).chain(self.links).collect()
    }
}

impl Messages {
    pub(crate) fn new(links: Links, floor_mbps: f64) -> Self {
        let environment = |format| Arc::new(environment(format));
        Self { links, floor_mbps, mark: "", plain: environment(Format::Plain), chat: environment(Format::Chat) }
    }

    /// Returns the same messages for a made-up incident: each headline is marked, and no link leads to the
    /// dashboard.
    pub(crate) fn for_test(self) -> Self {
        let links = Links { dashboard: None, ..self.links };
        Self { mark: "[TEST] ", links, ..self }
    }

    /// Returns the text of one alert. If a template fails, the text has the basic facts, so that no message is
    /// lost.
    pub(crate) fn alert(&self, notice: &AlertNotification, format: Format) -> AlertText {
        let AlertNotification { kind, alert, .. } = notice;
        let template = alert.name.as_str();
        let context = context::of_alert(notice, self.floor_mbps);
        let page = self.links.page(alert).map(|link| format!("{}: {link}", Links::word(alert)));
        let runbook = self.links.runbook(template).map(|link| format!("runbook: {link}"));
        let surely = || format!("{} {}: {}", alert.name, kind.status(), escape::text(format, &subject(alert)));
        let headline = self.block(format, template, &context, "headline").unwrap_or_else(surely);
        let details = self.block(format, template, &context, "details").unwrap_or_default();
        AlertText {
            headline: format!("{}{}", self.mark, one_line(&headline)),
            details: lines(&details).map(str::to_owned).collect(),
            links: page.into_iter().chain(runbook).collect(),
        }
    }

    /// Returns one alert in one line, with all details.
    pub(crate) fn log(&self, notice: &AlertNotification) -> String {
        let AlertText { headline, details, .. } = self.alert(notice, Format::Plain);
        [headline].into_iter().chain(details).collect::<Vec<_>>().join("; ")
    }

    /// Returns the subject of a message: the headline of its only alert, or the numbers of its alerts.
    pub(crate) fn subject(&self, notification: &Notification, format: Format) -> String {
        let headline = match (notification.notices.as_slice(), notification.more) {
            ([notice], 0) => Some(self.alert(notice, format).headline),
            _ => None,
        };
        let context = context::of_message(notification, headline);
        one_line(&self.block(format, "message", &context, "subject").unwrap_or_else(|| "[PiSync] alerts".to_owned()))
    }

    /// Returns a line on the alerts that are not listed, if there are any.
    pub(crate) fn rest(&self, notification: &Notification) -> Option<String> {
        let rest = self.block(Format::Plain, "message", &context::of_message(notification, None), "rest")?;
        Some(one_line(&rest)).filter(|rest| !rest.is_empty())
    }

    /// Returns the subject and the lines of a weekly summary.
    pub(crate) fn summary(&self, context: &Value) -> (String, Vec<String>) {
        let block = |block| self.block(Format::Plain, "summary", context, block).unwrap_or_default();
        (one_line(&block("subject")), lines(&block("body")).map(str::to_owned).collect())
    }

    /// Returns the subject and the text of a stored summary, with a link.
    pub(crate) fn week(&self, summary: &Summary, format: Format) -> (String, String) {
        let mut lines: Vec<_> = summary.lines.iter().map(|line| escape::text(format, line)).collect();
        lines.extend(self.links.base().map(|base| format!("fleet: {base}/")));
        (escape::text(format, &summary.subject), lines.join("\n"))
    }

    fn block(&self, format: Format, template: &str, context: &Value, block: &str) -> Option<String> {
        let environment = match format {
            Format::Plain => &self.plain,
            Format::Chat => &self.chat,
        };
        let template = environment.get_template(template);
        let rendered = template.and_then(|template| {
            let mut captured = template.render_captured(context.clone())?;
            captured.with_state_mut(|state| state.render_block(block))
        });
        rendered.inspect_err(|error| log::error!(error:% = error; "a message cannot be rendered")).ok()
    }
}

fn environment(format: Format) -> Environment<'static> {
    let mut environment = Environment::new();
    for (name, text) in SHARED.into_iter().chain(RULES.iter().map(|rule| (rule.name.as_str(), rule.message))) {
        if let Err(error) = environment.add_template(name, text) {
            log::error!(template = name, error:% = error; "invalid template");
        }
    }
    environment.set_auto_escape_callback(|_| AutoEscape::Custom("people".into()));
    environment.set_formatter(move |out, state, value| escape::value(format, out, state, value));
    environment.add_filter("grouped", grouped);
    environment.add_filter("percent", words::percent);
    environment.add_filter("mbps", words::round);
    environment.add_filter("minute", |at: String| at.parse().map_or(at, minute));
    environment
}

fn lines(text: &str) -> impl Iterator<Item = &str> {
    text.lines().map(str::trim).filter(|line| !line.is_empty())
}

fn one_line(text: &str) -> String {
    lines(text).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests;
