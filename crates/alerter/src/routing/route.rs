//! `[[route]]`: matches alerts, names their receiver, and groups their messages.

use std::sync::Arc;

use pisync_core::models::{ALERTNAME, Alert, Schedule};
use regex::Regex;
use serde::{Deserialize, Deserializer};

use super::{Grouping, Names, Route, grouping, schedule};
use crate::{
    receivers::{Reader, Receiver, log},
    rules::RULES,
    tables::{Length, Table, Text, Texts, YEAR, values},
};

/// The keys of the file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Settings {
    receiver: Text,
    #[serde(default, deserialize_with = "name")]
    alertname: Option<Pattern>,
    group_by: Option<Texts>,
    group_wait: Option<Length<0, YEAR>>,
    group_interval: Option<Length<0, YEAR>>,
    repeat_interval: Option<Length<60, YEAR>>,
    during: Option<String>,
    always: Option<Texts>,
    #[serde(default, rename = "continue")]
    goes_on: bool,
}

/// One `[[route]]`.
#[derive(Debug, Clone)]
pub struct RouteRule {
    receiver: String,
    matches: Vec<(String, Pattern)>,
    grouping: Grouping,
    /// The hours in which messages leave; `None` for all hours.
    during: Option<Arc<Schedule>>,
    /// The alerts whose messages leave at any hour.
    always: Vec<String>,
    /// True if the routes after this one are tried for the same alert too.
    pub(super) goes_on: bool,
}

/// A text in which `*` stands for any characters.
#[derive(Debug, Clone)]
struct Pattern(Regex);

impl RouteRule {
    /// Reads one.
    pub(super) fn read(table: &mut Table<'_>, names: &Names<'_>) -> Option<Self> {
        let mut matches = matches(table);
        let settings: Settings = table.read()?;
        let (Text(receiver), goes_on) = (settings.receiver.clone(), settings.goes_on);
        if receiver == log::NAME {
            table.fault("receiver", "the log gets every alert, without a route");
        } else if !names.has(&receiver) {
            table.fault("receiver", "is no receiver of this file");
        }
        matches.extend(settings.alertname.clone().map(|name| (ALERTNAME.to_owned(), name)));
        let during = schedule::find(table, "during", settings.during.as_deref(), names.schedules);
        let always = settings.always.clone().map(Texts::into_vec).unwrap_or_default();
        if always.iter().any(|name| RULES.iter().all(|rule| rule.name.as_str() != name)) {
            table.fault("always", format!("must have names of alerts ({})", rule_names().join(", ")));
        }
        let usual = Grouping::usual(names.find(&receiver).map_or(Reader::People, Receiver::reader));
        let grouping = grouping(settings, table, usual);
        Some(Self { receiver, matches, grouping, during, always, goes_on })
    }

    /// Returns whether this alert matches.
    pub(crate) fn takes(&self, alert: &Alert) -> bool {
        let labels = alert.labels();
        self.matches.iter().all(|(label, pattern)| pattern.0.is_match(labels.get(label).map_or("", String::as_str)))
    }

    /// Returns the routes of a matching alert, to each address of the receiver.
    pub(crate) fn routes(&self, receivers: &[Receiver], alert: &Alert) -> Vec<Route> {
        let receivers = receivers.iter().filter(|receiver| receiver.name == self.receiver);
        let is_always = self.always.iter().any(|name| name == alert.name.as_str());
        let during = self.during.as_ref().filter(|_| !is_always);
        let route = |address: String| Route { during: during.cloned(), ..self.grouping.route(&address, alert) };
        receivers.flat_map(Receiver::addresses).map(route).collect()
    }
}

fn matches(table: &mut Table<'_>) -> Vec<(String, Pattern)> {
    let pattern = |labels: &mut Table<'_>, label: &str| {
        let Text(text) = labels.take(label)?;
        Some((label.to_owned(), labels.check(label, Pattern::new(&text).map_err(|_| "must be shorter"))?))
    };
    let all = |labels: &mut Table<'_>| {
        let names = labels.keys().into_iter().filter(|name| grouping::is_label(name));
        names.collect::<Vec<_>>().iter().filter_map(|label| pattern(labels, label)).collect()
    };
    table.within("match", |labels| Some(all(labels))).unwrap_or_default()
}

fn grouping(settings: Settings, table: &mut Table<'_>, usual: Grouping) -> Grouping {
    if usual.is_each_alone() && table.has("group_by") {
        table.fault("group_by", "cannot be set: this receiver gets each alert by itself");
    }
    let by = settings.group_by.map(Texts::into_vec);
    if by.iter().flatten().any(|label| !grouping::is_label(label)) {
        table.fault("group_by", format!("must be {}, or labels of devices", grouping::LABELS.join(", ")));
    }
    Grouping {
        wait: settings.group_wait.map_or(usual.wait, |Length(wait)| wait),
        interval: settings.group_interval.map_or(usual.interval, |Length(interval)| interval),
        repeat_interval: settings.repeat_interval.map(|Length(interval)| interval),
        by: by.unwrap_or(usual.by),
    }
}

/// Parses the name of a rule.
fn name<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Pattern>, D::Error> {
    let names = rule_names();
    let what = format!("must be the name of an alert ({})", names.join(", "));
    let is_one = |text: &&str| names.contains(text);
    values::parsed(deserializer, |text| Some(text).filter(is_one).and_then(|text| Pattern::new(text).ok()).ok_or(what))
}

fn rule_names() -> Vec<&'static str> {
    RULES.iter().map(|rule| rule.name.as_str()).collect()
}

impl Pattern {
    fn new(text: &str) -> Result<Self, regex::Error> {
        let pattern = regex::escape(text).replace("\\*", ".*");
        Regex::new(&format!("(?s)^{pattern}$")).map(Self)
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
            let Pattern(regex) = Pattern::new(pattern).unwrap();
            assert!(regex.is_match(fits), "{pattern} {fits}");
            assert!(pattern == "*" || !regex.is_match(does_not), "{pattern} {does_not}");
        }
    }
}
