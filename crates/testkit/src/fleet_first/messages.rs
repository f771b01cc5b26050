//! The number of messages by alert name and status, such as `FleetSilent firing`.

use std::collections::BTreeMap;

use serde_json::Value;

/// Counts the messages of these lines of an alert log.
pub fn counted<'a>(lines: impl IntoIterator<Item = &'a Value>) -> BTreeMap<String, usize> {
    let mut messages = BTreeMap::new();
    for line in lines {
        *messages.entry(format!("{} {}", word(line, "alertname"), word(line, "status"))).or_insert(0) += 1;
    }
    messages
}

/// Returns the expected messages in the form of [`counted`].
pub fn told(messages: &[(&str, usize)]) -> BTreeMap<String, usize> {
    messages.iter().map(|(message, count)| ((*message).to_owned(), *count)).collect()
}

/// Returns a text member of a line; an empty text if it has none.
pub(super) fn word<'a>(line: &'a Value, member: &str) -> &'a str {
    line[member].as_str().unwrap_or_default()
}
