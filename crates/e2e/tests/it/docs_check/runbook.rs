//! Each alert has its heading in the runbook, and the rules of Prometheus name it.

use std::collections::BTreeSet;

use pisync_core::models::AlertName;
use testkit::workspace_root;

use super::links::slug;

const RUNBOOK: &str = "docs/admins/runbook.md";

fn read(path: &str) -> String {
    std::fs::read_to_string(workspace_root().join(path)).unwrap()
}

/// What stands behind these words, to the end of each line.
fn behind(text: &str, words: &str) -> Vec<String> {
    text.lines().filter_map(|line| Some(line.trim().strip_prefix(words)?.trim().to_owned())).collect()
}

#[test]
fn the_runbook_has_each_alert_and_no_other() {
    let rules = behind(&read("deploy/prometheus/pisync.rules.yml"), "- alert:");
    assert!(rules.len() > 9, "{rules:?}");
    let of_devices = AlertName::KNOWN.iter().map(ToString::to_string);
    let alerts: BTreeSet<_> = of_devices.chain(rules).chain(["WeeklySummary".to_owned()]).collect();
    let headings: BTreeSet<_> = behind(&read(RUNBOOK), "### ").into_iter().collect();
    assert_eq!(headings, alerts);
}

#[test]
fn each_rule_of_prometheus_names_its_place_in_the_runbook() {
    let text = read("deploy/prometheus/pisync.rules.yml");
    let rules = behind(&text, "- alert:");
    let places: Vec<_> = rules.iter().map(|rule| format!("{RUNBOOK}#{}", slug(rule))).collect();
    assert_eq!(behind(&text, "runbook:"), places);
}
