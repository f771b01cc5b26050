//! How many messages there were by what they are about and say, as in `FleetSilent firing`.

use std::collections::BTreeMap;

use serde_json::Value;

/// Those of some lines of an alert log.
pub fn counted<'a>(lines: impl IntoIterator<Item = &'a Value>) -> BTreeMap<String, usize> {
    let mut messages = BTreeMap::new();
    for line in lines {
        *messages.entry(format!("{} {}", word(line, "alertname"), word(line, "status"))).or_insert(0) += 1;
    }
    messages
}

/// Those that there should be.
pub fn told(messages: &[(&str, usize)]) -> BTreeMap<String, usize> {
    messages.iter().map(|(message, count)| ((*message).to_owned(), *count)).collect()
}

/// Returns a member of a line that is text, and nothing if it has none.
pub(super) fn word<'a>(line: &'a Value, member: &str) -> &'a str {
    line[member].as_str().unwrap_or_default()
}
