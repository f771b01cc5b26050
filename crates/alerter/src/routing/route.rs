//! `[[route]]`: which alerts go to which receiver, and how they are grouped on that way.

use pisync_core::models::{Alert, AlertName};
use serde::Deserialize;

use super::{Grouping, Names, Receiver, Route};
use crate::{
    receivers::{labels, log},
    rules::RULES,
    tables::{
        Table,
        values::{Length, Text, Texts, YEAR},
    },
};

/// The keys of the file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Settings {
    receiver: Text,
    alertname: Option<Name>,
    group_by: Option<Texts>,
    group_wait: Option<Length<0, YEAR>>,
    group_interval: Option<Length<0, YEAR>>,
    repeat_interval: Option<Length<60, YEAR>>,
    #[serde(default, rename = "continue")]
    goes_on: bool,
}

/// The name of a rule.
#[derive(Debug, Deserialize)]
#[serde(try_from = "String")]
struct Name(AlertName);

/// One `[[route]]`.
#[derive(Debug, Clone, PartialEq)]
pub struct RouteRule {
    receiver: String,
    matches: Vec<(String, Pattern)>,
    grouping: Grouping,
    goes_on: bool,
}

/// A text in which `*` stands for any characters.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Pattern(Vec<String>);

impl RouteRule {
    /// Reads one; `labels` are those that alerts have.
    pub(super) fn read(table: &mut Table<'_>, names: &Names<'_>, labels: &[&str]) -> Option<Self> {
        let mut matches = matches(table, labels);
        let settings = table.read();
        if let Some(name) = settings.as_ref().map(|settings: &Settings| settings.receiver.0.as_str()) {
            if name == log::NAME {
                table.fault("receiver", "the log gets every alert, without a route");
            } else if !names.has(name) {
                table.fault("receiver", "is no receiver of this file");
            }
        }
        let Settings { receiver: Text(receiver), alertname, goes_on, .. } = settings.as_ref()?;
        let name = alertname.as_ref().map(|Name(name)| Pattern::new(name.as_str()));
        matches.extend(name.map(|name| (labels::ALERTNAME.to_owned(), name)));
        let (receiver, goes_on) = (receiver.clone(), *goes_on);
        let usual = names.find(&receiver).map_or_else(Grouping::for_people, Receiver::grouping);
        let grouping = grouping(settings?, table, usual, labels);
        Some(Self { receiver, matches, grouping, goes_on })
    }

    /// Whether this alert goes this way.
    pub(crate) fn takes(&self, alert: &Alert) -> bool {
        let labels = alert.labels();
        self.matches.iter().all(|(label, pattern)| pattern.fits(labels.get(label.as_str()).map_or("", String::as_str)))
    }

    /// Whether the routes after this one are for the same alert too.
    pub(crate) fn goes_on(&self) -> bool {
        self.goes_on
    }

    /// The ways of an alert that goes this way, to each address of the receiver.
    pub(crate) fn routes(&self, receivers: &[Receiver], alert: &Alert) -> Vec<Route> {
        let receivers = receivers.iter().filter(|receiver| receiver.name == self.receiver);
        receivers.flat_map(Receiver::addresses).map(|address| self.grouping.route(&address, alert)).collect()
    }
}

fn matches(table: &mut Table<'_>, known: &[&str]) -> Vec<(String, Pattern)> {
    let Some(mut labels) = table.table("match") else { return Vec::new() };
    let mut matches = Vec::new();
    for label in known {
        let pattern = labels.take(label).map(|Text(pattern)| Pattern::new(&pattern));
        matches.extend(pattern.map(|pattern| ((*label).to_owned(), pattern)));
    }
    table.add(labels);
    matches
}

fn grouping(settings: Settings, table: &mut Table<'_>, usual: Grouping, known: &[&str]) -> Grouping {
    if usual.is_each_alone() && table.has("group_by") {
        table.fault("group_by", "cannot be set: this receiver gets each alert by itself");
    }
    let by = settings.group_by.map(|Texts(labels)| labels);
    if by.iter().flatten().any(|label| !known.contains(&label.as_str())) {
        table.fault("group_by", format!("must be of these labels: {}", known.join(", ")));
    }
    Grouping {
        wait: settings.group_wait.map_or(usual.wait, |Length(wait)| wait),
        interval: settings.group_interval.map_or(usual.interval, |Length(interval)| interval),
        repeat_interval: settings.repeat_interval.map(|Length(interval)| interval),
        by: by.unwrap_or(usual.by),
    }
}

impl TryFrom<String> for Name {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let name = RULES.iter().map(|rule| rule.name).find(|name| name.as_str() == text).map(Self);
        let names: Vec<_> = RULES.iter().map(|rule| rule.name.as_str()).collect();
        name.ok_or_else(|| format!("must be the name of an alert ({})", names.join(", ")))
    }
}

impl Pattern {
    fn new(text: &str) -> Self {
        Self(text.split('*').map(str::to_owned).collect())
    }

    fn fits(&self, text: &str) -> bool {
        let Some((first, rest)) = self.0.split_first() else { return text.is_empty() };
        let Some(mut left) = text.strip_prefix(first.as_str()) else { return false };
        let Some((last, middle)) = rest.split_last() else { return left.is_empty() };
        for part in middle {
            let Some(at) = left.find(part.as_str()) else { return false };
            left = &left[at + part.len()..];
        }
        left.ends_with(last.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_any_characters_and_all_else_for_itself() {
        for (pattern, fits, does_not) in [
            ("school-7", "school-7", "school-71"),
            ("school-7-*", "school-7-a", "school-71-a"),
            ("*", "", "nothing at all"),
            ("a*b*c", "a-bb-c", "a-c-b"),
            ("*a", "aa", "ab"),
            ("aa*aa", "aaaa", "aaa"),
            ("a.c", "a.c", "abc"),
        ] {
            assert!(Pattern::new(pattern).fits(fits), "{pattern} {fits}");
            assert!(pattern == "*" || !Pattern::new(pattern).fits(does_not), "{pattern} {does_not}");
        }
    }
}
