//! The reference in docs/reference is what the code says of itself. `PISYNC_WRITE_DOCS=1` writes it.

mod cli;
mod configuration;
mod http;
mod metrics;

pub(crate) use metrics::names as metric_names;

use std::path::PathBuf;

use clap::{Arg, ArgAction, Command, CommandFactory};
use testkit::workspace_root;

/// What stands before and behind the part of a page that is generated.
const MARKS: [&str; 2] = ["<!-- generated: scripts/test reference -->\n\n", "\n<!-- end of the generated part -->\n"];

/// The programs with their names, in the order of an event.
pub(crate) fn programs() -> [(&'static str, Command); 4] {
    [
        ("ingest-api", ingest_api::config::Config::command()),
        ("queue-worker", queue_worker::config::Config::command()),
        ("alerter", alerter::config::Config::command()),
        ("fleet-sim", fleet_sim::config::Config::command()),
    ]
}

fn page(name: &str) -> PathBuf {
    workspace_root().join("docs/reference").join(name)
}

/// Compares the generated part of a page with what it has to be, or writes it.
fn is_generated(name: &str, part: &str) {
    let text = std::fs::read_to_string(page(name)).unwrap();
    let [begin, end] = MARKS;
    let (before, rest) = text.split_once(begin).unwrap_or_else(|| panic!("{name} has no line {begin}"));
    let (found, after) = rest.split_once(end).unwrap_or_else(|| panic!("{name} has no line {end}"));
    if std::env::var_os("PISYNC_WRITE_DOCS").is_some() {
        return std::fs::write(page(name), [before, begin, part, end, after].concat()).unwrap();
    }
    let first = found.lines().zip(part.lines()).find(|(found, part)| found != part);
    let how = "run PISYNC_WRITE_DOCS=1 scripts/test reference, and look at what has changed";
    assert!(found == part, "docs/reference/{name} is not what the code says: {how}; the first of it: {first:#?}");
}

/// The arguments of a command that a person may use, without those that all of its commands have.
fn own_arguments(command: &Command) -> Vec<&Arg> {
    let is_own = |arg: &&Arg| !arg.is_hide_set() && !["help", "version"].contains(&arg.get_id().as_str());
    command.get_arguments().filter(is_own).collect()
}

/// An argument as a person writes it.
fn written(arg: &Arg) -> String {
    let value = arg.get_value_names().and_then(|names| names.first()).map(|name| format!(" {name}"));
    match arg.get_long() {
        Some(long) if arg.get_action().takes_values() => format!("--{long}{}", value.unwrap_or_default()),
        Some(long) => format!("--{long}"),
        None => value.unwrap_or_default().trim().to_owned(),
    }
}

fn variable(arg: &Arg) -> Option<String> {
    arg.get_env().map(|name| name.to_string_lossy().into_owned())
}

/// What an argument is if it is left out.
fn default(arg: &Arg) -> String {
    let values: Vec<_> = arg.get_default_values().iter().map(|value| value.to_string_lossy()).collect();
    let shown = !values.is_empty() && !matches!(arg.get_action(), ArgAction::SetTrue);
    if shown { code(&values.join(",")) } else { String::new() }
}

/// Which values an argument takes: its names, or its bounds as its help tells them.
fn values(arg: &Arg) -> String {
    if !arg.get_action().takes_values() {
        return String::new();
    }
    let names: Vec<_> = arg.get_possible_values().iter().map(|value| code(value.get_name())).collect();
    if !names.is_empty() {
        return names.join(", ");
    }
    let help = help(arg);
    let words: Vec<_> = help.split([' ', ',', ';', ':']).map(|word| word.trim_end_matches('.')).collect();
    let begins_with_digit = |word: &str| word.starts_with(|first: char| first.is_ascii_digit());
    let bounds =
        words.windows(3).find(|three| three[1] == "to" && begins_with_digit(three[0]) && begins_with_digit(three[2]));
    bounds.map(|three| three.join(" ")).unwrap_or_default()
}

fn help(arg: &Arg) -> String {
    arg.get_long_help().or(arg.get_help()).map(ToString::to_string).unwrap_or_default().replace('\n', " ")
}

fn code(text: &str) -> String {
    format!("`{text}`")
}

/// A table with these heads and rows.
fn table<const N: usize>(heads: [&str; N], rows: impl Iterator<Item = [String; N]>) -> String {
    let line = |cells: [String; N]| format!("| {} |\n", cells.map(|cell| cell.replace('|', "\\|")).join(" | "));
    let head = [line(heads.map(str::to_owned)), line(heads.map(|_| "---".to_owned()))].concat();
    rows.map(line).fold(head, |table, row| table + &row)
}
