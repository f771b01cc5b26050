//! Reading one table of the file: each key is taken once, and what is left over is unknown.

use std::collections::HashMap;

use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

use super::{
    problem::{Problem, line_of},
    tables,
};

/// One table of the file.
#[derive(Debug)]
pub(crate) struct Section<'t> {
    text: &'t str,
    name: String,
    line: usize,
    entries: HashMap<String, (usize, Spanned<DeValue<'t>>)>,
    problems: Vec<Problem>,
}

impl<'t> Section<'t> {
    /// The whole file.
    pub(super) fn of_file(text: &'t str, table: DeTable<'t>) -> Self {
        Self::new(text, String::new(), 1, table)
    }

    fn new(text: &'t str, name: String, line: usize, table: DeTable<'t>) -> Self {
        let entry = |(key, value): (Spanned<std::borrow::Cow<'t, str>>, _)| {
            let line = line_of(text, key.span().start);
            (key.into_inner().into_owned(), (line, value))
        };
        Self { text, name, line, entries: table.into_iter().map(entry).collect(), problems: Vec::new() }
    }

    /// The line where it begins.
    pub(crate) fn line(&self) -> usize {
        self.line
    }

    /// The tables of an array of tables, such as `[[receiver]]`.
    pub(super) fn sections(&mut self, key: &str) -> Vec<Section<'t>> {
        let Some((line, value)) = self.entries.remove(key) else { return Vec::new() };
        let Some(tables) = tables(value.into_inner()) else {
            self.problem(line, key, format!("must be written as [[{key}]]"));
            return Vec::new();
        };
        let section = |(start, table)| Self::new(self.text, key.to_owned(), line_of(self.text, start), table);
        tables.into_iter().map(section).collect()
    }

    /// A table, such as `[rules]`.
    pub(super) fn section(&mut self, key: &str) -> Option<Section<'t>> {
        let (line, value) = self.entries.remove(key)?;
        if let DeValue::Table(table) = value.into_inner() {
            return Some(Self::new(self.text, self.path(key), line, table));
        }
        self.problem(line, key, "must be a table");
        None
    }

    /// The value of a key, if it is there and `parse` takes it.
    pub(crate) fn take<T>(&mut self, key: &str, parse: impl FnOnce(&DeValue<'t>) -> Result<T, String>) -> Option<T> {
        let (line, value) = self.entries.remove(key)?;
        parse(value.get_ref()).map_err(|what| self.problem(line, key, what)).ok()
    }

    /// The value of a key that has to be there.
    pub(crate) fn need<T>(&mut self, key: &str, parse: impl FnOnce(&DeValue<'t>) -> Result<T, String>) -> Option<T> {
        if !self.has(key) {
            self.problem(self.line, key, "is missing");
        }
        self.take(key, parse)
    }

    /// The text of a key, which is left there.
    pub(super) fn peek(&self, key: &str) -> Option<String> {
        self.entries.get(key)?.1.get_ref().as_str().map(str::to_owned)
    }

    /// Whether the key is there.
    pub(crate) fn has(&self, key: &str) -> bool {
        self.entries.contains_key(key)
    }

    /// The line of a key, or of the section where it is not there.
    pub(crate) fn line_of(&self, key: &str) -> usize {
        self.entries.get(key).map_or(self.line, |(line, _)| *line)
    }

    /// The keys that were not taken yet.
    pub(super) fn keys(&self) -> Vec<String> {
        let mut keys: Vec<_> = self.entries.keys().cloned().collect();
        keys.sort_unstable();
        keys
    }

    /// Takes all keys that are left: what they mean is not known where something else is wrong.
    pub(crate) fn forget(&mut self) {
        self.entries.clear();
    }

    /// Notes something wrong.
    pub(crate) fn problem(&mut self, line: usize, key: &str, what: impl Into<String>) {
        self.problems.push(Problem::new(line, self.path(key), what));
    }

    /// Adds what was wrong in a part of this section.
    pub(super) fn add(&mut self, problems: Vec<Problem>) {
        self.problems.extend(problems);
    }

    /// All that is wrong with it; keys that nobody took are.
    pub(super) fn finish(mut self) -> Vec<Problem> {
        let left: Vec<_> = self.entries.iter().map(|(key, (line, _))| (key.clone(), *line)).collect();
        for (key, line) in left {
            self.problem(line, &key, "is not known here");
        }
        self.problems
    }

    fn path(&self, key: &str) -> String {
        if self.name.is_empty() { key.to_owned() } else { format!("{}.{key}", self.name) }
    }
}
