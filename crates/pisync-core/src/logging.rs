//! The log of every binary: text for people or one JSON object per line, levels by `RUST_LOG`.

use std::io::Write;

use clap::ValueEnum;
use env_logger::{Builder, Env};
use log::kv::{self, Key, Value, VisitSource};

/// How log lines are written, on standard error.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object per line: `time`, `level`, `target`, `message` and the line's own keys.
    Json,
}

/// Starts logging; `info` and above unless `RUST_LOG` says otherwise. A second call does nothing.
pub fn init(format: LogFormat) {
    let mut builder = Builder::from_env(Env::default().default_filter_or("info"));
    if format == LogFormat::Json {
        builder.format(|out, record| {
            let mut line = serde_json::Map::new();
            line.insert("time".into(), jiff::Timestamp::now().to_string().into());
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
    }
    let _ = builder.try_init();
}

/// Puts a record's keys into the JSON object, numbers and booleans as such.
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
