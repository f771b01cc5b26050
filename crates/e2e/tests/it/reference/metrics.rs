//! docs/reference/metrics.md: every metric that a process exposes, and no other.

use std::collections::BTreeSet;

/// The metrics that the page has a row for.
pub(crate) fn names() -> BTreeSet<String> {
    let page = std::fs::read_to_string(super::page("metrics.md")).unwrap();
    let rows = page.lines().filter_map(|line| line.strip_prefix("| `pisync_"));
    let name = |row: &str| row.split(['`', '{']).next().map(|name| format!("pisync_{name}"));
    rows.filter_map(name).collect()
}
