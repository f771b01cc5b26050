//! `[[route]]`: which alerts go to which receiver, and how they are grouped on that way.

use std::time::Duration;

use pisync_core::models::Alert;

use super::{field, section::Section};
use crate::receivers::{Grouping, Receiver, Route, labels};

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
    pub(super) fn read(
        section: &mut Section<'_>,
        receivers: &[Receiver],
        declared: &[String],
        labels: &[&str],
    ) -> Option<Self> {
        let line = section.line_of("receiver");
        let name = section.need("receiver", field::text);
        let receiver = name.as_ref().and_then(|name| receivers.iter().find(|known| known.name == *name));
        if name.as_deref() == Some(crate::receivers::log::NAME) {
            section.problem(line, "receiver", "the log gets every alert, without a route");
        } else if name.as_ref().is_some_and(|name| !declared.contains(name)) {
            section.problem(line, "receiver", "is no receiver of this file");
        }
        let matches = matches(section, labels);
        let usual = receiver.map_or_else(Grouping::for_people, Receiver::grouping);
        let grouping = grouping(section, usual, labels);
        let goes_on = section.take("continue", field::truth).unwrap_or_default();
        Some(Self { receiver: name?, matches, grouping, goes_on })
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

    /// The way of an alert that goes this way.
    pub(crate) fn route(&self, alert: &Alert) -> Route {
        self.grouping.route(&self.receiver, alert)
    }
}

fn matches(section: &mut Section<'_>, known: &[&str]) -> Vec<(String, Pattern)> {
    let mut matches = Vec::new();
    matches.extend(section.take(labels::ALERTNAME, alertname).map(|name| (labels::ALERTNAME.to_owned(), name)));
    if let Some(mut labels) = section.section("match") {
        for label in labels.keys() {
            if known.contains(&label.as_str()) {
                matches.extend(labels.take(&label, |value| Ok((label.clone(), Pattern::new(&field::text(value)?)))));
            }
        }
        section.add(labels.finish());
    }
    matches
}

fn alertname(value: &toml::de::DeValue<'_>) -> Result<Pattern, String> {
    let name = field::text(value)?;
    let is_known = pisync_core::models::AlertName::parse(&name).is_some();
    is_known.then(|| Pattern::new(&name)).ok_or_else(|| "is no alert that there is".to_owned())
}

fn grouping(section: &mut Section<'_>, usual: Grouping, known: &[&str]) -> Grouping {
    if usual.is_each_alone() && section.has("group_by") {
        let line = section.line_of("group_by");
        section.problem(line, "group_by", "cannot be set: this receiver gets each alert by itself");
    }
    let by = section.take("group_by", |value| {
        let labels = field::texts(value)?;
        let are_known = labels.iter().all(|label| known.contains(&label.as_str()));
        are_known.then_some(labels).ok_or_else(|| format!("must be of these labels: {}", known.join(", ")))
    });
    let mut length = |key, usual| section.take(key, field::duration).unwrap_or(usual);
    Grouping {
        wait: length("group_wait", usual.wait),
        interval: length("group_interval", usual.interval),
        repeat_interval: length("repeat_interval", usual.repeat_interval).max(Duration::from_mins(1)),
        by: by.unwrap_or(usual.by),
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
