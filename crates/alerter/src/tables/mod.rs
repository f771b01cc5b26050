//! A table of a TOML file, parsed by serde. All its errors are reported, each with its line and key.
//!
//! A secret is never in the file: `NAME_file` names a file with it, `NAME_env` a variable. Both are read here,
//! so that a struct has one field `NAME_file` for it.

pub(crate) mod values;

use std::{borrow::Cow, collections::BTreeMap, fs, path::Path};

use serde::{Serialize, de::DeserializeOwned};
use toml::{
    Spanned,
    de::{DeTable, DeValue, Deserializer, ValueDeserializer},
};

pub(crate) use self::values::{Length, Text, Texts, WebAddress, YEAR};

/// The key with the kind of a table. It is parsed first, since all others depend on it.
const TAG: &str = "type";

/// The suffixes of keys whose value is in a file, or in a variable.
const FILE: &str = "_file";
const ENV: &str = "_env";

const UNKNOWN: &str = "is not known here";

type Key<'t> = Spanned<Cow<'t, str>>;

/// An error: its line, and its text. It never repeats a value, which may be a misplaced secret.
pub(crate) type Problem = (usize, String);

/// One table of the file.
#[derive(Debug)]
pub(crate) struct Table<'t> {
    text: &'t str,
    name: String,
    line: usize,
    /// The entries that were not read yet.
    entries: DeTable<'t>,
    /// The line of each key.
    lines: BTreeMap<String, usize>,
    /// The valid keys, besides those that serde names.
    known: Vec<String>,
    problems: Vec<Problem>,
}

impl<'t> Table<'t> {
    /// Parses the whole file as a table.
    pub(crate) fn of_file(text: &'t str) -> Result<Self, Problem> {
        let table = DeTable::parse(text).map_err(|error| {
            let line = error.span().map_or(1, |span| line_of(text, span.start));
            (line, error.message().to_owned())
        })?;
        Ok(Self::new(text, String::new(), 1, table.into_inner()))
    }

    fn new(text: &'t str, name: String, line: usize, entries: DeTable<'t>) -> Self {
        let lines = entries.iter().map(|(key, _)| (key.get_ref().to_string(), line_of(text, key.span().start)));
        Self { text, name, line, lines: lines.collect(), entries, known: Vec::new(), problems: Vec::new() }
    }

    /// Reads each table of an array of tables, such as `[[receiver]]`.
    pub(crate) fn each<T>(&mut self, key: &str, mut read: impl FnMut(&mut Self) -> Option<T>) -> Vec<T> {
        let tables = self.tables(key);
        tables.into_iter().filter_map(|table| self.part(table, &mut read)).collect()
    }

    /// Reads a table, such as `[rules]`, if it is there.
    pub(crate) fn within<T>(&mut self, key: &str, read: impl FnOnce(&mut Self) -> Option<T>) -> Option<T> {
        let value = self.entries.remove(key)?;
        if let DeValue::Table(table) = value.into_inner() {
            return self.part(Self::new(self.text, self.path(key), self.line_of(key), table), read);
        }
        self.fault(key, "must be a table");
        None
    }

    /// Reads a table in which each key has a default. An invalid table yields the defaults.
    pub(crate) fn settings<T: Default + Serialize + DeserializeOwned>(&mut self, key: &str) -> T {
        let defaults = toml::Table::try_from(T::default()).unwrap_or_default();
        let read = |table: &mut Self| {
            table.known.extend(defaults.into_iter().map(|(key, _)| key));
            table.read()
        };
        self.within(key, read).unwrap_or_default()
    }

    fn part<T>(&mut self, mut part: Self, read: impl FnOnce(&mut Self) -> Option<T>) -> Option<T> {
        let read = read(&mut part);
        self.problems.extend(part.finish());
        read
    }

    fn tables(&mut self, key: &str) -> Vec<Self> {
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

    /// Takes one value.
    pub(crate) fn take<T: DeserializeOwned>(&mut self, key: &str) -> Option<T> {
        self.known.push(key.to_owned());
        let value = self.entries.remove(key)?;
        let read = T::deserialize(ValueDeserializer::from(value));
        read.map_err(|error| self.fault(key, words(error.message(), &[]))).ok()
    }

    /// Returns the text of a key, and leaves it there.
    pub(crate) fn peek(&self, key: &str) -> Option<String> {
        self.entries.get(key)?.get_ref().as_str().map(str::to_owned)
    }

    /// Returns the keys that were not read yet.
    pub(crate) fn keys(&self) -> Vec<String> {
        self.entries.keys().map(|key| key.get_ref().to_string()).collect()
    }

    /// Takes all other keys as one value. Each invalid key is left out and reported, so that the errors of the
    /// others are found, too.
    pub(crate) fn read<T: DeserializeOwned>(&mut self) -> Option<T> {
        let mut sound = DeTable::new();
        let mut entries: Vec<_> = std::mem::take(&mut self.entries).into_iter().collect();
        entries.sort_by_key(|(key, _)| (key.get_ref() != TAG, key.span().start));
        for (key, value) in entries {
            if let Err(what) = self.put::<T>(&mut sound, &key, value) {
                self.fault(key.get_ref(), what);
            }
        }
        let read = parsed(&sound);
        if let Err(error) = &read
            && let Some(key) = missing(error)
        {
            self.need::<()>(key, None);
        }
        read.ok()
    }

    /// Adds a valid key. If it names a file or a variable, its content is the value.
    fn put<T: DeserializeOwned>(
        &self,
        sound: &mut DeTable<'t>,
        key: &Key<'t>,
        value: Spanned<DeValue<'t>>,
    ) -> Result<(), String> {
        let variable = key.get_ref().strip_suffix(ENV).map(|name| format!("{name}{FILE}"));
        let field = variable.as_deref().unwrap_or(key.get_ref());
        let field = Spanned::new(key.span(), Cow::Owned(field.to_owned()));
        if sound.contains_key(&field) {
            let other = if variable.is_some() { FILE } else { ENV };
            let name = field.get_ref().trim_end_matches(FILE);
            return Err(format!("cannot be together with {name}{other}"));
        }
        let mut put = |value| {
            sound.insert(field.clone(), value);
            let error = parsed::<T>(sound).err().filter(|error| missing(error).is_none());
            let Some(error) = error else { return Ok(()) };
            sound.remove(&field);
            Err(words(error.message(), &self.known))
        };
        let place = value.get_ref().as_str().filter(|_| field.get_ref().ends_with(FILE)).map(str::to_owned);
        let as_it_is = put(value);
        match place {
            // An unknown key is not read.
            Some(place) if !as_it_is.as_ref().is_err_and(|what| what.starts_with(UNKNOWN)) => {
                let content = if variable.is_some() { of_env(&place) } else { of_file(&place) }?;
                put(Spanned::new(key.span(), DeValue::String(content.into())))
            }
            _ => as_it_is,
        }
    }

    /// Returns the value, and reports a missing key.
    pub(crate) fn need<T>(&mut self, key: &str, value: Option<T>) -> Option<T> {
        let name = key.strip_suffix(FILE);
        let others = name.map(|name| [name.to_owned(), format!("{name}{ENV}")]);
        if !self.has(key) && !others.iter().flatten().any(|other| self.has(other)) {
            let too = others.map(|[_, env]| format!(", and {env} too")).unwrap_or_default();
            self.fault(key, format!("is missing{too}"));
        }
        value
    }

    /// Returns the value, or reports the error of a check after parsing.
    pub(crate) fn check<T>(&mut self, key: &str, checked: Result<T, impl Into<String>>) -> Option<T> {
        checked.map_err(|what| self.fault(key, what)).ok()
    }

    /// Reports an error, at the line of the key, or of the table if the key is not there.
    pub(crate) fn fault(&mut self, key: &str, what: impl Into<String>) {
        self.problems.push((self.line_of(key), format!("{}: {}", self.path(key), what.into())));
    }

    /// Returns all errors of the table; keys that nobody read are errors.
    pub(crate) fn finish(mut self) -> Vec<Problem> {
        let left: Vec<_> = self.entries.keys().map(|key| key.get_ref().to_string()).collect();
        for key in left {
            self.fault(&key, format!("{UNKNOWN}{}", suggestion(&key, &self.known)));
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

/// Returns an error that lists all errors of a file, a line each.
pub(crate) fn listed(path: &Path, mut all: Vec<Problem>) -> anyhow::Error {
    all.sort_by_key(|(line, _)| *line);
    let lines: Vec<_> = all.iter().map(|(line, what)| format!("{}:{line}: {what}", path.display())).collect();
    anyhow::Error::msg(lines.join("\n"))
}

/// Returns the line, from 1, of an offset in a text.
fn line_of(text: &str, at: usize) -> usize {
    text.bytes().take(at).filter(|byte| *byte == b'\n').count() + 1
}

fn parsed<T: DeserializeOwned>(table: &DeTable<'_>) -> Result<T, toml::de::Error> {
    T::deserialize(Deserializer::from(Spanned::new(0..0, table.clone())))
}

fn of_file(path: &str) -> Result<String, String> {
    let text = fs::read_to_string(path).map_err(|error| format!("cannot be read: {error}"))?;
    without_end(&text).ok_or_else(|| "names an empty file".to_owned())
}

#[expect(clippy::disallowed_methods, reason = "which variable it is stands in the file, not on the command line")]
fn of_env(variable: &str) -> Result<String, String> {
    let text = std::env::var(variable).map_err(|_| "names a variable that is not set".to_owned())?;
    without_end(&text).ok_or_else(|| "names a variable that is empty".to_owned())
}

/// Returns a secret without the line break at its end, or `None` if it is empty.
fn without_end(text: &str) -> Option<String> {
    let text = text.trim_end_matches(['\r', '\n']);
    (!text.is_empty()).then(|| text.to_owned())
}

/// Returns the key that serde misses, if that is the error.
fn missing(error: &toml::de::Error) -> Option<&str> {
    error.message().strip_prefix("missing field `")?.strip_suffix('`')
}

/// Returns an error of serde in our words, without the value that it repeats.
fn words(message: &str, known: &[String]) -> String {
    let (found, expected) = message.rsplit_once(", expected ").unwrap_or((message, ""));
    let mut choices: Vec<_> = expected.split('`').skip(1).step_by(2).map(str::to_owned).collect();
    let named = found.split('`').nth(1).unwrap_or_default();
    if found.starts_with("unknown field") {
        if choices.contains(&format!("{named}{FILE}")) {
            return format!("is a secret and is not read from here: use {named}{FILE} or {named}{ENV}");
        }
        choices.extend_from_slice(known);
        return format!("{UNKNOWN}{}", suggestion(named, &choices));
    }
    if expected.is_empty() {
        return message.to_owned();
    }
    let expected = match expected {
        "a boolean" => "true or false".to_owned(),
        "a string" | "string" => "a text in quotes".to_owned(),
        "f64" => "a number".to_owned(),
        "a nonzero u16" => "a port, 1 to 65535".to_owned(),
        _ if found.starts_with("unknown variant") => choices.join(", "),
        other => other.to_owned(),
    };
    let one_of = if choices.len() > 1 { "one of " } else { "" };
    format!("must be {one_of}{expected}{}", suggestion(named, &choices))
}

/// Returns a hint at the known word that was probably meant.
fn suggestion(word: &str, known: &[String]) -> String {
    let distance = |known: &&String| strsim::damerau_levenshtein(word, known);
    let meant = known.iter().min_by_key(distance).filter(|known| distance(known) <= (word.len() / 3).max(1));
    meant.map(|meant| format!("; did you mean {meant}?")).unwrap_or_default()
}
