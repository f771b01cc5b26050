//! Secrets: the file names where they are, in a file or in the environment, and never holds one.

use std::fs;

use pisync_core::settings::Secret;

use super::{field, section::Section};

impl Section<'_> {
    /// The secret `name` from where `NAME_file` or `NAME_env` says, one of the two.
    ///
    /// The end of a line after it is no part of it.
    pub(crate) fn secret(&mut self, name: &str) -> Option<Secret> {
        let (file, env) = (format!("{name}_file"), format!("{name}_env"));
        if self.has(name) {
            let line = self.line_of(name);
            self.problem(line, name, format!("is a secret and is not read from here: use {file} or {env}"));
            self.take(name, |_| Ok(()));
        }
        if self.has(&file) && self.has(&env) {
            self.problem(self.line_of(&env), &env, format!("cannot be together with {file}"));
        }
        let from_file = self.take(&file, |value| of_file(&field::text(value)?));
        let from_env = self.take(&env, |value| of_env(&field::text(value)?));
        from_file.or(from_env)
    }

    /// The secret `name`, which has to be there.
    pub(crate) fn needed_secret(&mut self, name: &str) -> Option<Secret> {
        let is_said = ["", "_file", "_env"].iter().any(|ending| self.has(&format!("{name}{ending}")));
        if !is_said {
            self.problem(self.line(), &format!("{name}_file"), format!("is missing, and {name}_env too"));
        }
        self.secret(name)
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
