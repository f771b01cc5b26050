//! The settings that binaries share, as flags and environment variables.

use std::{ffi::OsStr, fmt, fs, io, time::Duration};

use clap::{
    Args, Parser,
    builder::{BoolishValueParser, TypedValueParser},
    error::{ContextKind, ContextValue, ErrorKind},
};
use serde::Deserialize;

use crate::{
    logging::{self, LogFormat},
    redis::url::RedisUrl,
};

mod address;
mod ca_file;
mod collections;
mod duration;
mod environment;
mod mongo_uri;

pub use address::{CannotBind, address};
pub use ca_file::CaFile;
pub use duration::duration;
pub use environment::{KNOWN_VARIABLES, unknown_variables};

/// Parses the settings of a binary from its arguments and environment, and starts its log.
///
/// An invalid setting ends the process with status 2 and a message that names the flag and the variable. An empty
/// variable counts as not set. White space and quotes around a value, as env files leave them, are removed. A variable
/// that no program of `PiSync` knows is logged.
pub fn parse<T: Parser + AsRef<LogSettings>>() -> T {
    let parsed = environment::read_into(T::command()).try_get_matches().and_then(|matches| {
        collections::check(&matches).map_err(|why| refused(&why))?;
        T::from_arg_matches(&matches)
    });
    let parsed = parsed.and_then(|settings: T| {
        logging::check_levels().map_err(|why| refused(&why))?;
        Ok(settings)
    });
    let settings = match parsed {
        Ok(settings) => settings,
        // The command before its variables are cleaned: it knows each variable.
        Err(error) if !error.use_stderr() => T::parse(),
        Err(error) => exit(&error, T::command()),
    };
    logging::init(settings.as_ref().log_format);
    for warning in unknown_variables(&T::command(), std::env::vars_os()) {
        log::warn!("{warning}");
    }
    settings
}

/// Ends the process as [`parse`] does, for a setting that proves invalid only in use.
pub fn reject(message: impl fmt::Display) -> ! {
    refused(&format!("{message}\n\nFor more information, try '--help'.")).exit()
}

fn refused(why: &str) -> clap::Error {
    clap::Error::raw(ErrorKind::ValueValidation, format!("{why}\n"))
}

#[expect(clippy::print_stderr, reason = "the log has not started yet")]
fn exit(error: &clap::Error, mut command: clap::Command) -> ! {
    let _ = error.print();
    command.build();
    if let Some(ContextValue::String(flag)) = error.get(ContextKind::InvalidArg)
        && let Some(variable) = variable(&command, flag)
    {
        eprintln!("The setting is {flag} or the environment variable {variable}.");
    }
    std::process::exit(error.exit_code())
}

/// Returns the environment variable of a flag, of the command itself or one of its subcommands.
fn variable(command: &clap::Command, flag: &str) -> Option<String> {
    let arg = command.get_arguments().find(|arg| arg.to_string() == flag);
    let variable = arg.and_then(clap::Arg::get_env).map(|name| name.to_string_lossy().into_owned());
    variable.or_else(|| command.get_subcommands().find_map(|verb| self::variable(verb, flag)))
}

/// The settings of the log.
#[derive(Debug, Clone, Args)]
pub struct LogSettings {
    /// Format of log lines; levels by `RUST_LOG`
    #[arg(long, global = true, env = "PISYNC_LOG_FORMAT", value_enum, default_value = "text")]
    pub log_format: LogFormat,
}

/// The settings of `MongoDB`.
#[derive(Debug, Clone, Args)]
pub struct MongoSettings {
    /// `MongoDB` connection string, or `file:PATH` of a file with it
    #[arg(
        long,
        global = true,
        env = "PISYNC_MONGO_URI",
        hide_env_values = true,
        default_value = "mongodb://127.0.0.1:27017"
    )]
    #[arg(value_parser = MongoUriParser)]
    pub mongo_uri: Secret,
    /// `MongoDB` database [default: the one in --mongo-uri, else pisync]
    #[arg(long, global = true, env = "PISYNC_MONGO_DB", value_parser = mongo_name)]
    pub mongo_db: Option<String>,
    /// File with the trusted CA certificates, PEM, for a `MongoDB` with a private CA; it switches TLS on
    #[arg(long, global = true, env = "PISYNC_MONGO_CA_FILE", value_name = "FILE", value_parser = CaFile::read)]
    pub mongo_ca_file: Option<CaFile>,
    /// Collection of the events
    #[arg(long, global = true, env = "PISYNC_SYNC_EVENT_COLLECTION", default_value = "SyncEvent", value_parser = mongo_name)]
    pub sync_event_collection: String,
    /// Collection of the failure counters, one per device
    #[arg(long, global = true, env = "PISYNC_FAILURE_COUNTER_COLLECTION", default_value = "FailureCounter", value_parser = mongo_name)]
    pub failure_counter_collection: String,
}

/// The settings of Redis.
#[derive(Debug, Clone, Args)]
pub struct RedisSettings {
    /// Redis URL: `redis://`, `redis+cluster://` or `redis+sentinel://`; `rediss` for TLS; or `file:PATH` of a file
    /// with it
    #[arg(
        long,
        global = true,
        env = "PISYNC_REDIS_URL",
        hide_env_values = true,
        default_value = "redis://127.0.0.1:6379"
    )]
    #[arg(value_parser = RedisUrlParser)]
    pub redis_url: Secret,
    /// File with the trusted CA certificates, PEM, for a Redis with TLS (`rediss://`) and a private CA
    #[arg(long, global = true, env = "PISYNC_REDIS_CA_FILE", value_name = "FILE", value_parser = CaFile::read)]
    pub redis_ca_file: Option<CaFile>,
    /// Prefix of all keys in Redis
    #[arg(long, global = true, env = "PISYNC_KEY_PREFIX", default_value = "pisync", value_parser = key_prefix)]
    pub key_prefix: String,
    /// Partitions of the queue, 1 to 1024; the same in every process
    #[arg(long, global = true, env = "PISYNC_PARTITIONS", default_value_t = 16, value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub partitions: u16,
    /// Accept a Redis whose `maxmemory-policy` is not noeviction, so that it may lose events
    #[arg(long, global = true, env = "PISYNC_ALLOW_EVICTION", value_parser = BoolishValueParser::new())]
    pub allow_eviction: bool,
    /// Timeout of an answer of Redis, after which it counts as unavailable
    #[arg(skip = Duration::from_secs(1))]
    pub response_timeout: Duration,
}

/// A connection string or a key: never printed, since it may be or hold a password.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct Secret(String);

impl Secret {
    /// Returns a connection string that is known to be well-formed.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// Returns the content of a file, without surrounding white space and line ends.
    ///
    /// Fails if the file cannot be read or is blank.
    pub fn from_file(path: &str) -> io::Result<Self> {
        let text = fs::read_to_string(path)?;
        let text = text.trim_start_matches('\u{feff}').trim();
        if text.is_empty() { Err(io::Error::other("it is empty")) } else { Ok(Self(text.to_owned())) }
    }

    /// Returns the secret itself, to send it to a server.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(secret)")
    }
}

#[derive(Clone)]
struct MongoUriParser;

impl TypedValueParser for MongoUriParser {
    type Value = Secret;

    fn parse_ref(&self, cmd: &clap::Command, arg: Option<&clap::Arg>, value: &OsStr) -> Result<Secret, clap::Error> {
        secret(value, mongo_uri::check, cmd, arg, "mongodb://[USER:PASSWORD@]HOST[:PORT][/DATABASE][?OPTIONS]")
    }
}

#[derive(Clone)]
struct RedisUrlParser;

impl TypedValueParser for RedisUrlParser {
    type Value = Secret;

    fn parse_ref(&self, cmd: &clap::Command, arg: Option<&clap::Arg>, value: &OsStr) -> Result<Secret, clap::Error> {
        let form = "redis://[USER:PASSWORD@]HOST[:PORT][/DB], \
                    redis+cluster://[USER:PASSWORD@]HOST[:PORT],HOST[:PORT]... or \
                    redis+sentinel://[USER:PASSWORD@]HOST[:PORT],HOST[:PORT].../MASTER[/DB]";
        secret(value, |url| RedisUrl::parse(url).map(drop).map_err(|error| error.to_string()), cmd, arg, form)
    }
}

/// Returns the secret, or an error that does not repeat the value, as clap's own would.
fn secret(
    value: &OsStr,
    check: impl Fn(&str) -> Result<(), String>,
    cmd: &clap::Command,
    arg: Option<&clap::Arg>,
    form: &str,
) -> Result<Secret, clap::Error> {
    let flag = arg.map(ToString::to_string).unwrap_or_default();
    let message = match given(value) {
        Ok(secret) => match check(secret.expose()) {
            Ok(()) => return Ok(secret),
            Err(why) => format!(
                "the value of '{flag}' cannot be used: {why}. It is of the form {form} \
                 (percent-encode what is reserved in USER and PASSWORD)\n"
            ),
        },
        Err(error) => format!("the file that '{flag}' names cannot be read: {error}\n"),
    };
    let mut error = clap::Error::raw(ErrorKind::ValueValidation, message).with_cmd(cmd);
    error.insert(ContextKind::InvalidArg, ContextValue::String(flag));
    Err(error)
}

/// Returns the value itself, or the content of the file in `file:PATH`.
fn given(value: &OsStr) -> io::Result<Secret> {
    let text = value.to_str().unwrap_or_default().trim();
    text.strip_prefix("file:").map_or_else(|| Ok(Secret::new(text)), Secret::from_file)
}

fn mongo_name(name: &str) -> Result<String, &'static str> {
    let fits = (1..=63).contains(&name.len()) && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-".contains(&b));
    fits.then(|| name.to_owned()).ok_or("1 to 63 letters, digits, '_' or '-'")
}

fn key_prefix(prefix: &str) -> Result<String, &'static str> {
    let fits =
        (1..=64).contains(&prefix.len()) && prefix.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-.:/".contains(&b));
    fits.then(|| prefix.to_owned()).ok_or("1 to 64 letters, digits, '_', '-', '.', ':' or '/'")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Parser)]
    struct All {
        #[command(flatten)]
        mongo: MongoSettings,
        #[command(flatten)]
        redis: RedisSettings,
    }

    fn refused(args: &[&str]) -> String {
        All::try_parse_from([&["test"], args].concat()).unwrap_err().to_string()
    }

    #[test]
    fn a_secret_shows_nowhere() {
        let uri = "mongodb://someone:hunter2@db.example:27017/?replicaSet=rs0";
        let url = "rediss://:hunter2@cache.example:6380/1";
        let settings = All::try_parse_from(["test", "--mongo-uri", uri, "--redis-url", url]).unwrap();
        assert_eq!((settings.mongo.mongo_uri.expose(), settings.redis.redis_url.expose()), (uri, url));
        assert!(!format!("{settings:?}").contains("hunter2"));
        for (flag, bad) in [
            ("--mongo-uri", "mongodb://a:hunter2@:x/y z"),
            ("--redis-url", "http://a:hunter2@h"),
            ("--redis-url", "redis+ring://a:hunter2@h"),
        ] {
            let error = refused(&[flag, bad]);
            assert!(error.contains(flag) && !error.contains("hunter2"), "{error}");
        }
    }

    #[test]
    fn names_that_would_break_keys_or_commands_are_refused() {
        for (flag, value) in [
            ("--partitions", "0"),
            ("--partitions", "1025"),
            ("--key-prefix", "a{b"),
            ("--key-prefix", ""),
            ("--mongo-db", "a/b"),
            ("--sync-event-collection", "system.users"),
        ] {
            assert!(refused(&[flag, value]).contains(flag), "{flag} {value}");
        }
    }
}
