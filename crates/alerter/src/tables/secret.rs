//! Secrets: the file names where they are, in a file or in the environment, and never holds one.

use std::fs;

use pisync_core::settings::Secret;
use serde::de::IgnoredAny;

use super::{Table, values::Text};

/// Where a secret is, by the keys `NAME_file` and `NAME_env`; `NAME` itself is refused.
#[derive(Debug)]
pub(crate) struct Place {
    pub(crate) here: Option<IgnoredAny>,
    pub(crate) file: Option<Text>,
    pub(crate) env: Option<Text>,
}

impl Table<'_> {
    /// Returns the secret `name`. The end of a line after it is no part of it.
    pub(crate) fn secret(&mut self, name: &str, place: Place) -> Option<Secret> {
        let (file, env) = (format!("{name}_file"), format!("{name}_env"));
        if place.here.is_some() {
            self.fault(name, format!("is a secret and is not read from here: use {file} or {env}"));
        }
        if self.has(&file) && self.has(&env) {
            self.fault(&env, format!("cannot be together with {file}"));
        }
        let from_file = place.file.and_then(|Text(path)| self.check(&file, of_file(&path)));
        let from_env = place.env.and_then(|Text(variable)| self.check(&env, of_env(&variable)));
        from_file.or(from_env)
    }

    /// Returns the secret `name`; it is reported if it is nowhere.
    pub(crate) fn needed_secret(&mut self, name: &str, place: Place) -> Option<Secret> {
        if !["", "_file", "_env"].iter().any(|ending| self.has(&format!("{name}{ending}"))) {
            self.fault(&format!("{name}_file"), format!("is missing, and {name}_env too"));
        }
        self.secret(name, place)
    }
}

fn of_file(path: &str) -> Result<Secret, String> {
    let text = fs::read_to_string(path).map_err(|error| format!("cannot be read: {error}"))?;
    not_empty(&text).ok_or_else(|| "names an empty file".to_owned())
}

#[expect(clippy::disallowed_methods, reason = "which variable it is stands in the file, not on the command line")]
fn of_env(variable: &str) -> Result<Secret, String> {
    let text = std::env::var(variable).map_err(|_| "names a variable that is not set".to_owned())?;
    not_empty(&text).ok_or_else(|| "names a variable that is empty".to_owned())
}

fn not_empty(text: &str) -> Option<Secret> {
    let text = text.trim_end_matches(['\r', '\n']);
    (!text.is_empty()).then(|| Secret::new(text))
}
