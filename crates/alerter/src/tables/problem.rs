//! What is wrong with a file: where, and what it should be. No value of the file is repeated, since
//! it may be a secret in the wrong place.

use std::{
    fmt, io,
    path::{Path, PathBuf},
};

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The line, from 1.
    pub line: usize,
    /// The section and its key; empty where the text is no TOML.
    pub key: String,
    /// What it should be.
    pub what: String,
}

/// All that is wrong with a file.
#[derive(Debug, Clone, thiserror::Error)]
pub struct Problems {
    path: PathBuf,
    all: Vec<Problem>,
    unread: Option<String>,
}

impl Problem {
    /// Something wrong in a line.
    pub(crate) fn new(line: usize, key: impl Into<String>, what: impl Into<String>) -> Self {
        Self { line, key: key.into(), what: what.into() }
    }

    /// A text that is no TOML.
    pub(crate) fn of_syntax(text: &str, error: &toml::de::Error) -> Self {
        let line = error.span().map_or(1, |span| line_of(text, span.start));
        Self::new(line, "", error.message())
    }
}

impl Problems {
    pub(crate) fn new(path: &Path, mut all: Vec<Problem>) -> Self {
        all.sort_by_key(|problem| problem.line);
        Self { path: path.to_owned(), all, unread: None }
    }

    pub(crate) fn of_file(path: &Path, error: &io::Error) -> Self {
        Self { path: path.to_owned(), all: Vec::new(), unread: Some(error.to_string()) }
    }
}

/// The line, from 1, of a place in a text.
pub(crate) fn line_of(text: &str, at: usize) -> usize {
    text.bytes().take(at).filter(|byte| *byte == b'\n').count() + 1
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.key.as_str() {
            "" => write!(f, "{}: {}", self.line, self.what),
            key => write!(f, "{}: {key}: {}", self.line, self.what),
        }
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = self.path.display();
        if let Some(error) = &self.unread {
            return write!(f, "{path}: {error}");
        }
        let lines: Vec<_> = self.all.iter().map(|problem| format!("{path}:{problem}")).collect();
        f.write_str(&lines.join("\n"))
    }
}
