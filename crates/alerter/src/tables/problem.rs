//! What is wrong with a file: where, and what it should be. No value of the file is repeated, since
//! it may be a secret in the wrong place.

use std::{fmt, path::Path};

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Problem {
    /// The line, from 1.
    pub line: usize,
    /// The section and its key; empty where the text is no TOML.
    pub key: String,
    /// What it should be.
    pub what: String,
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

/// Returns all that is wrong with a file, a line each.
pub(crate) fn listed(path: &Path, mut all: Vec<Problem>) -> anyhow::Error {
    all.sort_by_key(|problem| problem.line);
    let lines: Vec<_> = all.iter().map(|problem| format!("{}:{problem}", path.display())).collect();
    anyhow::Error::msg(lines.join("\n"))
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
