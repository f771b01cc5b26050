//! The log of every binary: plain text or one JSON object per line, levels by `RUST_LOG`.

use std::io::Write;

use clap::ValueEnum;
use env_logger::{Builder, Env};
use jiff::Timestamp;
use log::{
    LevelFilter,
    kv::{self, Key, Value, VisitSource},
};

use crate::time::rfc3339;

/// The format of log lines, on standard error.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// Plain text.
    #[default]
    Text,
    /// One JSON object per line: `time`, `level`, `target`, `message` and the line's own keys.
    Json,
}

/// The log target of the web framework's connection errors. It is off by default, since strangers could fill the log
/// with them.
const OF_CONNECTIONS: &str = "actix_http::h1::dispatcher";

/// Starts logging, at `info` and above unless `RUST_LOG` is set. A second call does nothing.
pub fn init(format: LogFormat) {
    let mut builder = Builder::new();
    // RUST_LOG can still turn it on by name.
    builder.filter_module(OF_CONNECTIONS, LevelFilter::Off);
    builder.parse_env(Env::default().default_filter_or("info"));
    if format == LogFormat::Json {
        builder.format(|out, record| {
            let mut line = serde_json::Map::new();
            line.insert("time".into(), rfc3339(Timestamp::now()).into());
            line.insert("level".into(), record.level().as_str().into());
            line.insert("target".into(), record.target().into());
            line.insert("message".into(), record.args().to_string().into());
            // A key that cannot be visited is left out; the line itself still goes.
            let _ = record.key_values().visit(&mut Members(&mut line));
            serde_json::to_writer(&mut *out, &line)?;
            out.write_all(b"\n")
        });
    } else {
        builder.format_timestamp_millis();
        builder.format(|out, record| {
            let (time, level, target) = (out.timestamp_millis(), record.level(), record.target());
            let style = out.default_level_style(level);
            let mut line = escaped(&record.args().to_string());
            // A key that cannot be visited is left out; the line itself still goes.
            let _ = record.key_values().visit(&mut Pairs(&mut line));
            writeln!(out, "[{time} {style}{level:<5}{style:#} {target}] {line}")
        });
    }
    let _ = builder.try_init();
}

/// Fails if `RUST_LOG` has a part that is neither a level nor `target=level`: taken as a target, it would silence
/// everything else.
pub(crate) fn check_levels() -> Result<(), String> {
    #[expect(clippy::disallowed_methods, reason = "the variable is that of the logging library")]
    let given = std::env::var("RUST_LOG").unwrap_or_default();
    check(&given)
}

fn check(given: &str) -> Result<(), String> {
    let (directives, _) = given.split_once('/').unwrap_or((given, ""));
    let bad = directives.split(',').map(str::trim).filter(|directive| !directive.is_empty()).find(|directive| {
        let (target, level) = directive.split_once('=').unwrap_or(("", directive));
        level.parse::<LevelFilter>().is_err() || target.contains(char::is_whitespace)
    });
    match bad {
        None => Ok(()),
        Some(bad) => Err(format!(
            "RUST_LOG: {bad:?} is neither a level (off, error, warn, info, debug, trace) nor TARGET=LEVEL; write, for \
             example, RUST_LOG=info or RUST_LOG=info,pisync_core=debug"
        )),
    }
}

/// Returns a text with line breaks and terminal control characters escaped as numbers: it may hold input from outside.
fn escaped(text: &str) -> String {
    let is_unseen = |character: char| {
        character.is_control()
            || matches!(character, '\u{ad}' | '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
    };
    let mut shown = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '\n' => shown.push_str("\\n"),
            '\r' => shown.push_str("\\r"),
            '\t' => shown.push_str("\\t"),
            unseen if is_unseen(unseen) => shown.extend(unseen.escape_unicode()),
            seen => shown.push(seen),
        }
    }
    shown
}

/// Appends a record's keys to a line, as `key=value`.
struct Pairs<'a>(&'a mut String);

impl<'kvs> VisitSource<'kvs> for Pairs<'_> {
    fn visit_pair(&mut self, key: Key<'kvs>, value: Value<'kvs>) -> Result<(), kv::Error> {
        self.0.extend([" ", key.as_str(), "=", &escaped(&value.to_string())]);
        Ok(())
    }
}

/// Puts a record's keys into the JSON object, with numbers and booleans as such.
struct Members<'a>(&'a mut serde_json::Map<String, serde_json::Value>);

impl<'kvs> VisitSource<'kvs> for Members<'_> {
    fn visit_pair(&mut self, key: Key<'kvs>, value: Value<'kvs>) -> Result<(), kv::Error> {
        let json = if let Some(number) = value.to_u64() {
            number.into()
        } else if let Some(number) = value.to_i64() {
            number.into()
        } else if let Some(number) = value.to_f64() {
            number.into()
        } else if let Some(truth) = value.to_bool() {
            truth.into()
        } else {
            value.to_string().into()
        };
        self.0.insert(key.to_string(), json);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn garbage_in_rust_log_is_named() {
        for good in
            ["", "info", "INFO", "off", "warn,pisync_core=debug", "pisync_core::queue=trace , info", "info/redis"]
        {
            assert_eq!(check(good), Ok(()), "{good}");
        }
        for bad in ["infoo", "a=b=c", "pisync_core", "info,pisync_core=loud", "info warn", "{}"] {
            let why = check(bad).unwrap_err();
            assert!(why.contains("RUST_LOG=info") && why.contains("off, error"), "{bad}: {why}");
        }
    }

    #[test]
    fn what_others_sent_begins_no_line_and_changes_no_terminal() {
        assert_eq!(escaped("école 1 \"a\""), "école 1 \"a\"");
        assert_eq!(escaped("a\nERROR b\r\t"), "a\\nERROR b\\r\\t");
        assert_eq!(escaped("a\u{1b}[31m\u{202e}b\u{2028}"), "a\\u{1b}[31m\\u{202e}b\\u{2028}");
    }
}
