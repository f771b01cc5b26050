//! One table of a TOML file, read by serde in such a way that all its faults are reported, each with
//! its line and key.

mod problem;
pub(crate) mod secret;
pub(crate) mod values;

use std::{borrow::Cow, collections::BTreeMap};

use serde::de::DeserializeOwned;
use toml::{
    Spanned,
    de::{DeTable, DeValue, Deserializer, ValueDeserializer},
};

use self::problem::line_of;
pub use self::problem::{Problem, Problems};

/// The key that says of what kind a table is: it is read first, as all others depend on it.
const TAG: &str = "type";

type Key<'t> = Spanned<Cow<'t, str>>;

/// One table of the file. No fault repeats a value, which may be a secret in the wrong place.
#[derive(Debug)]
pub(crate) struct Table<'t> {
    text: &'t str,
    name: String,
    line: usize,
    /// What was not read yet.
    entries: DeTable<'t>,
    /// The line of each key.
    lines: BTreeMap<String, usize>,
    problems: Vec<Problem>,
}

impl<'t> Table<'t> {
    /// Returns the whole file as a table.
    pub(crate) fn of_file(text: &'t str) -> Result<Self, Problem> {
        let table = DeTable::parse(text).map_err(|error| Problem::of_syntax(text, &error))?;
        Ok(Self::new(text, String::new(), 1, table.into_inner()))
    }

    fn new(text: &'t str, name: String, line: usize, entries: DeTable<'t>) -> Self {
        let lines = entries.iter().map(|(key, _)| (key.get_ref().to_string(), line_of(text, key.span().start)));
        Self { text, name, line, lines: lines.collect(), entries, problems: Vec::new() }
    }

    /// Takes the tables of an array of tables, such as `[[receiver]]`.
    pub(crate) fn tables(&mut self, key: &str) -> Vec<Table<'t>> {
        let Some(value) = self.entries.remove(key) else { return Vec::new() };
        let of = |item: Spanned<DeValue<'t>>| {
            let line = line_of(self.text, item.span().start);
            let DeValue::Table(table) = item.into_inner() else { return None };
            Some(Self::new(self.text, self.path(key), line, table))
        };
        let tables = match value.into_inner() {
            DeValue::Array(items) => items.into_iter().map(of).collect(),
            _ => None,
        };
        tables.unwrap_or_else(|| {
            self.fault(key, format!("must be written as [[{key}]]"));
            Vec::new()
        })
    }

    /// Takes a table, such as `[rules]`.
    pub(crate) fn table(&mut self, key: &str) -> Option<Table<'t>> {
        let value = self.entries.remove(key)?;
        if let DeValue::Table(table) = value.into_inner() {
            return Some(Self::new(self.text, self.path(key), self.line_of(key), table));
        }
        self.fault(key, "must be a table");
        None
    }

    /// Takes one value.
    pub(crate) fn take<T: DeserializeOwned>(&mut self, key: &str) -> Option<T> {
        let value = self.entries.remove(key)?;
        let read = T::deserialize(ValueDeserializer::from(value));
        read.map_err(|error| self.fault(key, words(error.message(), &[]))).ok()
    }

    /// Returns the text of a key, which is left there.
    pub(crate) fn peek(&self, key: &str) -> Option<String> {
        self.entries.get(key)?.get_ref().as_str().map(str::to_owned)
    }

    /// Takes all that is left as one value. Each key that is wrong is left out and reported, so that
    /// the faults of the others are found, too.
    pub(crate) fn read<T: DeserializeOwned>(&mut self) -> Option<T> {
        let mut sound = DeTable::new();
        let mut entries: Vec<_> = std::mem::take(&mut self.entries).into_iter().collect();
        entries.sort_by_key(|(key, _)| (key.get_ref() != TAG, key.span().start));
        for (key, value) in entries {
            sound.insert(key.clone(), value);
            if let Err(error) = parsed::<T>(&sound)
                && missing(&error).is_none()
            {
                sound.remove(&key);
                self.reject(&key, &error);
            }
        }
        let read = parsed(&sound);
        if let Err(error) = &read
            && let Some(key) = missing(error).filter(|key| !self.has(key))
        {
            self.fault(key, "is missing");
        }
        read.ok()
    }

    fn reject(&mut self, key: &Key<'t>, error: &toml::de::Error) {
        let known: Vec<_> = self.lines.keys().map(String::as_str).filter(|known| known != key.get_ref()).collect();
        let what = words(error.message(), &known);
        self.fault(key.get_ref(), what);
    }

    /// Returns what has to be there; it is reported if it is not.
    pub(crate) fn need<T>(&mut self, key: &str, value: Option<T>) -> Option<T> {
        if !self.has(key) {
            self.fault(key, "is missing");
        }
        value
    }

    /// Reports what is wrong with a value that serde took.
    pub(crate) fn check<T>(&mut self, key: &str, checked: Result<T, impl Into<String>>) -> Option<T> {
        checked.map_err(|what| self.fault(key, what)).ok()
    }

    /// Reports something wrong, at the line of the key, or of the table if the key is not there.
    pub(crate) fn fault(&mut self, key: &str, what: impl Into<String>) {
        self.problems.push(Problem::new(self.line_of(key), self.path(key), what));
    }

    /// Adds what was wrong in a part of this table.
    pub(crate) fn add(&mut self, part: Table<'_>) {
        self.problems.extend(part.finish());
    }

    /// Returns all that is wrong with it; keys that nobody read are.
    pub(crate) fn finish(mut self) -> Vec<Problem> {
        let left: Vec<_> = self.entries.keys().map(|key| key.get_ref().to_string()).collect();
        for key in left {
            let known: Vec<_> = self.lines.keys().map(String::as_str).filter(|known| *known != key).collect();
            self.fault(&key, format!("is not known here{}", suggestion(&key, &known)));
        }
        self.problems
    }

    /// Returns whether the key was in the file.
    pub(crate) fn has(&self, key: &str) -> bool {
        self.lines.contains_key(key)
    }

    fn line_of(&self, key: &str) -> usize {
        self.lines.get(key).copied().unwrap_or(self.line)
    }

    fn path(&self, key: &str) -> String {
        if self.name.is_empty() { key.to_owned() } else { format!("{}.{key}", self.name) }
    }
}

fn parsed<T: DeserializeOwned>(table: &DeTable<'_>) -> Result<T, toml::de::Error> {
    T::deserialize(Deserializer::from(Spanned::new(0..0, table.clone())))
}

/// Returns the key that serde misses, if that is what it complains of.
fn missing(error: &toml::de::Error) -> Option<&str> {
    error.message().strip_prefix("missing field `")?.strip_suffix('`')
}

/// Returns an error of serde in our words, without the value that it repeats.
fn words(message: &str, known: &[&str]) -> String {
    let Some((found, expected)) = message.rsplit_once(", expected ") else {
        return match message.strip_prefix("unknown field ") {
            Some(_) => "is not known here".to_owned(),
            None => message.to_owned(),
        };
    };
    let choices: Vec<_> = expected.split('`').skip(1).step_by(2).collect();
    let named = found.split('`').nth(1).unwrap_or_default();
    if found.starts_with("unknown field") {
        let known: Vec<_> = choices.iter().chain(known).copied().collect();
        return format!("is not known here{}", suggestion(named, &known));
    }
    let expected = match expected {
        "a boolean" => "true or false".to_owned(),
        "a string" | "string" => "a text in quotes".to_owned(),
        _ if found.starts_with("unknown variant") => choices.join(", "),
        other => other.to_owned(),
    };
    let one_of = if choices.len() > 1 { "one of " } else { "" };
    format!("must be {one_of}{expected}{}", suggestion(named, &choices))
}

/// Returns the known word that was probably meant.
fn suggestion(word: &str, known: &[&str]) -> String {
    let distance = |known: &&&str| strsim::damerau_levenshtein(word, known);
    let meant = known.iter().min_by_key(distance).filter(|known| distance(known) <= (word.len() / 3).max(1));
    meant.map(|meant| format!("; did you mean {meant}?")).unwrap_or_default()
}
