//! The routing file, in TOML: receivers, the routes that lead to them, rules, the ping, the weekly summary.
//!
//! It is valid as a whole or not at all. All errors are reported at once, each with its line and key.

mod grouping;
mod live;
mod route;
pub(crate) mod schedule;
mod source;
pub mod summary;

use std::{collections::HashSet, fs, path::Path, sync::Arc};

use anyhow::Context;
use pisync_core::models::Schedule;

pub(crate) use self::grouping::Grouping;
pub use self::{
    grouping::Route,
    live::Routing,
    route::RouteRule,
    source::{open, read_again_on_hangup},
    summary::Plan,
};
use crate::{
    receivers::{Ping, Receiver, log},
    rules::Rules,
    tables::{Problem, Table, listed},
};

/// The content of the file.
#[derive(Debug, Default)]
pub struct RoutingFile {
    /// The receivers beside the log, which always exists.
    pub receivers: Vec<Receiver>,
    /// The routes, in their order.
    pub routes: Vec<RouteRule>,
    /// The settings of the rules.
    pub rules: Rules,
    /// The service that is pinged after each tick.
    pub ping: Option<Ping>,
    /// The weekly summary: its receivers and its time.
    pub summary: Option<Plan>,
}

/// The names of the receivers in the file, invalid ones too, and the schedules.
struct Names<'a> {
    receivers: &'a [Receiver],
    declared: &'a HashSet<String>,
    schedules: &'a [Arc<Schedule>],
}

impl RoutingFile {
    /// Reads the file, and the files and variables with secrets that it names.
    ///
    /// Fails with all errors of the file, one line each.
    pub fn read(path: &Path) -> anyhow::Result<Self> {
        let text = fs::read_to_string(path).with_context(|| path.display().to_string())?;
        Self::parse(&text).map_err(|problems| listed(path, problems))
    }

    /// Parses the text of a file.
    fn parse(text: &str) -> Result<Self, Vec<Problem>> {
        let mut file = Table::of_file(text).map_err(|problem| vec![problem])?;
        let mut declared = HashSet::new();
        let receivers = file.each("receiver", |table| {
            if table.peek("name").is_some_and(|name| name == log::NAME || !declared.insert(name)) {
                table.fault("name", "is another receiver's name already");
            }
            Receiver::read(table)
        });
        // Before the rules and routes, which name them.
        let schedules = file.each("schedule", schedule::read);
        schedule::require_unique(&mut file, &schedules);
        let rules = file.within("rules", |table| Some(Rules::read(table, &schedules))).unwrap_or_default();
        let names = Names { receivers: &receivers, declared: &declared, schedules: &schedules };
        let routes = file.each("route", |table| RouteRule::read(table, &names));
        let summary = file.within("summary", |table| Plan::read(table, &names));
        let ping = file.within("ping", |table| table.read().and_then(|settings| Ping::new(settings, table)));
        let problems = file.finish();
        if problems.is_empty() { Ok(Self { receivers, routes, rules, ping, summary }) } else { Err(problems) }
    }
}

impl Names<'_> {
    fn find(&self, name: &str) -> Option<&Receiver> {
        self.receivers.iter().find(|known| known.name == name)
    }

    fn has(&self, name: &str) -> bool {
        self.declared.contains(name)
    }
}

#[cfg(test)]
mod tests;
