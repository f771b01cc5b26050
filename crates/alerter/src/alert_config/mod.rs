//! The alert config: a TOML file with receivers, the routes that lead to them, rules, the ping, and
//! the weekly summary.
//!
//! It is read as a whole or not at all, and everything that is wrong is said at once, each with
//! its line and key.

pub(crate) mod field;
mod problem;
mod route;
mod rules;
mod secret;
mod section;
mod source;
mod summary;

use std::{collections::HashSet, fs, path::Path};

pub use problem::{Problem, Problems};
pub use route::RouteRule;
pub use rules::Rules;
pub(crate) use section::Section;
pub use source::{open, read_again_on_hangup};
use toml::de::{DeTable, DeValue};

use crate::{
    receivers::{Ping, Receiver, labels, log},
    summary::plan::Plan,
};

/// What the file says.
#[derive(Debug, Default)]
pub struct AlertConfig {
    /// The receivers beside the log, which is always there.
    pub receivers: Vec<Receiver>,
    /// The routes, in their order.
    pub routes: Vec<RouteRule>,
    /// When something is wrong, and what it is called.
    pub rules: Rules,
    /// Who is told of each look that was done.
    pub ping: Option<Ping>,
    /// Who is told once a week how the fleet did.
    pub summary: Option<Plan>,
}

impl AlertConfig {
    /// Reads the file, and the files and variables with secrets that it names.
    pub fn read(path: &Path) -> Result<Self, Problems> {
        let text = fs::read_to_string(path).map_err(|error| Problems::of_file(path, &error))?;
        Self::parse(&text).map_err(|problems| Problems::new(path, problems))
    }

    /// Reads the text of a file.
    fn parse(text: &str) -> Result<Self, Vec<Problem>> {
        let table = DeTable::parse(text).map_err(|error| vec![Problem::of_syntax(text, &error)])?;
        let mut file = Section::of_file(text, table.into_inner());
        let (mut config, mut problems) = (Self::default(), Vec::new());
        let sections = file.sections("receiver");
        // Those that are wrong in something else have their names all the same.
        let declared: Vec<_> = sections.iter().filter_map(|section| section.peek("name")).collect();
        for mut section in sections {
            config.receivers.extend(Receiver::read(&mut section));
            problems.extend(section.finish());
        }
        let distinct = are_distinct(&config.receivers);
        // Before the routes, which may match on what the fleet is looked at by.
        if let Some(mut section) = file.section("rules") {
            config.rules = Rules::read(&mut section);
            problems.extend(section.finish());
        }
        let labels: Vec<_> = labels::ALL.into_iter().chain(config.rules.fleet_by.iter().map(String::as_str)).collect();
        for mut section in file.sections("route") {
            config.routes.extend(RouteRule::read(&mut section, &config.receivers, &declared, &labels));
            problems.extend(section.finish());
        }
        if let Some(mut section) = file.section("ping") {
            config.ping = Ping::read(&mut section);
            problems.extend(section.finish());
        }
        if let Some(mut section) = file.section("summary") {
            config.summary = Plan::read(&mut section, &config.receivers, &declared);
            problems.extend(section.finish());
        }
        problems.extend(file.finish());
        problems.extend(distinct.err());
        if problems.is_empty() { Ok(config) } else { Err(problems) }
    }
}

/// Fails where two receivers have the same name, or one that of the log.
fn are_distinct(receivers: &[Receiver]) -> Result<(), Problem> {
    let mut names = HashSet::from([log::NAME]);
    match receivers.iter().find(|receiver| !names.insert(&receiver.name)) {
        Some(twice) => Err(Problem::new(twice.line, "receiver.name", "is another receiver's name already")),
        None => Ok(()),
    }
}

/// The sections that a value holds.
fn tables<'t>(value: DeValue<'t>) -> Option<Vec<(usize, DeTable<'t>)>> {
    let items = match value {
        DeValue::Array(items) => items.into_iter().collect::<Vec<_>>(),
        _ => return None,
    };
    let table = |item: toml::Spanned<DeValue<'t>>| {
        let start = item.span().start;
        match item.into_inner() {
            DeValue::Table(table) => Some((start, table)),
            _ => None,
        }
    };
    items.into_iter().map(table).collect()
}

#[cfg(test)]
mod tests;
