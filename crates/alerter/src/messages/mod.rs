//! What messages say to people. Each rule has a template, `en/<rule>.txt`, which log, mail, chats, pages
//! and webhooks use; the weekly summary has `en/summary.txt`.

mod context;
mod escape;
mod links;
mod words;

use std::sync::Arc;

use minijinja::{AutoEscape, Environment, value::Serde};
use pisync_core::models::Summary;
use serde::Serialize;

use self::context::{AlertContext, MessageContext};
pub use self::links::Links;
pub(crate) use self::{
    escape::Format,
    words::{in_words, minute, subject},
};
use crate::notification::{AlertNotification, Notification};

/// Renders messages. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Messages {
    pub(crate) links: Links,
    /// Below it, in Mbps, the connection is taken for the cause.
    floor_mbps: f64,
    plain: Arc<Environment<'static>>,
    chat: Arc<Environment<'static>>,
}

/// One alert of a message in words.
#[derive(Debug, Clone, Default)]
pub(crate) struct AlertText {
    /// What happened, in one line.
    pub(crate) headline: String,
    /// What is behind it, each with its name, most important first.
    pub(crate) details: Vec<(String, String)>,
}

impl AlertText {
    /// Returns the headline and the details, line by line.
    pub(crate) fn lines(&self) -> Vec<String> {
        let details = self.details.iter().map(|(name, detail)| format!("{name}: {detail}"));
        [self.headline.clone()].into_iter().chain(details).collect()
    }
}

impl Messages {
    pub(crate) fn new(links: Links, floor_mbps: f64) -> Self {
        let environment = |format| Arc::new(environment(format));
        Self { links, floor_mbps, plain: environment(Format::Plain), chat: environment(Format::Chat) }
    }

    /// Returns what is said of one alert.
    pub(crate) fn alert(&self, notice: &AlertNotification, format: Format) -> AlertText {
        let [headline, details] = self.blocks(notice, format, ["headline", "details"]);
        let detail = |line: &str| {
            let (name, detail) = line.split_once(": ").unwrap_or(("", line));
            (name.to_owned(), detail.to_owned())
        };
        AlertText { headline: one_line(&headline), details: lines(&details).map(detail).collect() }
    }

    /// Returns one alert in one line.
    pub(crate) fn headline(&self, notice: &AlertNotification, format: Format) -> String {
        let [headline] = self.blocks(notice, format, ["headline"]);
        one_line(&headline)
    }

    /// Returns what the alert log says of one alert.
    pub(crate) fn log(&self, notice: &AlertNotification) -> String {
        let [log] = self.blocks(notice, Format::Plain, ["log"]);
        one_line(&log)
    }

    /// Returns a message in one line: of one alert what it is, of many how many.
    pub(crate) fn subject(&self, notification: &Notification, format: Format) -> String {
        let headline = match (notification.notices.as_slice(), notification.more) {
            ([notice], 0) => Some(self.headline(notice, format)),
            _ => None,
        };
        let context = MessageContext::of(notification, headline);
        one_line(&self.block(format, "message", &context, "subject").unwrap_or_else(|| "[PiSync] alerts".to_owned()))
    }

    /// Returns what is not listed, if there is something.
    pub(crate) fn rest(&self, notification: &Notification) -> Option<String> {
        let rest = self.block(Format::Plain, "message", &MessageContext::of(notification, None), "rest")?;
        Some(one_line(&rest)).filter(|rest| !rest.is_empty())
    }

    /// Returns the page of what an alert is about.
    pub(crate) fn link(&self, notice: &AlertNotification) -> Option<String> {
        self.links.page(&notice.alert)
    }

    /// Returns the subject and the lines of a weekly summary.
    pub(crate) fn summary(&self, context: &impl Serialize) -> (String, Vec<String>) {
        let block = |block| self.block(Format::Plain, "summary", context, block).unwrap_or_default();
        (one_line(&block("subject")), lines(&block("body")).map(str::to_owned).collect())
    }

    /// Returns the subject of a summary that was written down.
    pub(crate) fn week_subject(summary: &Summary, format: Format) -> String {
        escape::text(format, &summary.subject)
    }

    /// Returns the lines of a summary that was written down, and where to look.
    pub(crate) fn week(&self, summary: &Summary, format: Format) -> Vec<String> {
        let mut lines: Vec<_> = summary.lines.iter().map(|line| escape::text(format, line)).collect();
        lines.extend(self.links.base().map(|base| format!("fleet: {base}/")));
        lines
    }

    /// Renders blocks of the template of an alert. A template that fails leaves what is surely known:
    /// no message is lost by it.
    fn blocks<const N: usize>(&self, notice: &AlertNotification, format: Format, names: [&str; N]) -> [String; N] {
        let (template, context) = (template_of(notice), AlertContext::of(notice, self.floor_mbps, &self.links));
        let surely = || {
            let (subject, status) = (escape::text(format, &subject(&notice.alert)), notice.kind.status());
            format!("{} {status}: {subject}", notice.alert.name)
        };
        names.map(|name| self.block(format, &template, &context, name).unwrap_or_else(surely))
    }

    fn block(&self, format: Format, template: &str, context: &impl Serialize, block: &str) -> Option<String> {
        let environment = match format {
            Format::Plain => &self.plain,
            Format::Chat => &self.chat,
        };
        let template = environment.get_template(&format!("{template}.txt"));
        let rendered = template.and_then(|template| {
            let mut captured = template.render_captured(Serde(context))?;
            captured.with_state_mut(|state| state.render_block(block))
        });
        rendered.inspect_err(|error| log::error!(error:% = error; "a message cannot be rendered")).ok()
    }
}

/// Returns the name of an alert's template: that of its rule's file.
fn template_of(notice: &AlertNotification) -> String {
    let mut name = String::new();
    for letter in notice.alert.name.as_str().chars() {
        if letter.is_ascii_uppercase() && !name.is_empty() {
            name.push('_');
        }
        name.push(letter.to_ascii_lowercase());
    }
    name
}

#[expect(unused_qualifications, reason = "in what is generated")]
fn environment(format: Format) -> Environment<'static> {
    let mut environment = Environment::new();
    minijinja_embed::load_templates!(&mut environment);
    environment.set_auto_escape_callback(|_| AutoEscape::Custom("people".into()));
    environment.set_formatter(move |out, state, value| escape::value(format, out, state, value));
    environment.add_filter("grouped", words::grouped);
    environment.add_filter("percent", words::percent);
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
