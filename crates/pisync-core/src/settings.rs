//! The settings that binaries share, as flags and environment variables.

use std::{ffi::OsStr, fmt, fs, io, time::Duration};

use clap::{
    Args, Parser,
    builder::TypedValueParser,
    error::{ContextKind, ContextValue, ErrorKind},
};
use mongodb::options::ConnectionString;

use crate::{logging::LogFormat, redis_url::RedisUrl};

/// Reads the settings of a binary from its arguments and environment.
///
/// A bad one ends the process with status 2 and a message that names the flag and the variable.
pub fn parse<T: Parser>() -> T {
    T::try_parse().unwrap_or_else(|error| exit(&error, T::command()))
}

/// Ends the process as [`parse`] does, for a setting that only shows to be wrong in use.
pub fn reject(command: &mut clap::Command, message: impl fmt::Display) -> ! {
    command.error(ErrorKind::ValueValidation, message).exit()
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

/// The environment variable of a flag, of the command itself or one of its verbs.
fn variable(command: &clap::Command, flag: &str) -> Option<String> {
    let arg = command.get_arguments().find(|arg| arg.to_string() == flag);
    let variable = arg.and_then(clap::Arg::get_env).map(|name| name.to_string_lossy().into_owned());
    variable.or_else(|| command.get_subcommands().find_map(|verb| self::variable(verb, flag)))
}

/// Where the log goes.
#[derive(Debug, Clone, Args)]
pub struct LogSettings {
    /// How log lines are written; levels by `RUST_LOG`
    #[arg(long, global = true, env = "PISYNC_LOG_FORMAT", value_enum, default_value = "text")]
    pub log_format: LogFormat,
}

/// Where events rest.
#[derive(Debug, Clone, Args)]
pub struct MongoSettings {
    /// `MongoDB` connection string, or `file:PATH` of a file that holds it
    #[arg(
        long,
        global = true,
        env = "PISYNC_MONGO_URI",
        hide_env_values = true,
        default_value = "mongodb://127.0.0.1:27017"
    )]
    #[arg(value_parser = MongoUriParser)]
    pub mongo_uri: Secret,
    /// `MongoDB` database
    #[arg(long, global = true, env = "PISYNC_MONGO_DB", default_value = "pisync", value_parser = mongo_name)]
    pub mongo_db: String,
    /// Collection of the events
    #[arg(long, global = true, env = "PISYNC_SYNC_EVENT_COLLECTION", default_value = "SyncEvent", value_parser = mongo_name)]
    pub sync_event_collection: String,
    /// Collection of the counters, one per device
    #[arg(long, global = true, env = "PISYNC_FAILURE_COUNTER_COLLECTION", default_value = "FailureCounter", value_parser = mongo_name)]
    pub failure_counter_collection: String,
}

/// Where events wait.
#[derive(Debug, Clone, Args)]
pub struct RedisSettings {
    /// Redis URL: `redis://`, `redis+cluster://` or `redis+sentinel://`; `rediss` for TLS; or
    /// `file:PATH` of a file that holds it
    #[arg(
        long,
        global = true,
        env = "PISYNC_REDIS_URL",
        hide_env_values = true,
        default_value = "redis://127.0.0.1:6379"
    )]
    #[arg(value_parser = RedisUrlParser)]
    pub redis_url: Secret,
    /// What all keys in Redis begin with
    #[arg(long, global = true, env = "PISYNC_KEY_PREFIX", default_value = "pisync", value_parser = key_prefix)]
    pub key_prefix: String,
    /// Partitions of the queue, 1 to 1024; the same in every process
    #[arg(long, global = true, env = "PISYNC_PARTITIONS", default_value_t = 16, value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub partitions: u16,
    /// Use a Redis whose `maxmemory-policy` is not noeviction, and accept that it loses events
    #[arg(long, global = true, env = "PISYNC_ALLOW_EVICTION")]
    pub allow_eviction: bool,
    /// How long an answer of Redis may take before it counts as away
    #[arg(skip = Duration::from_secs(1))]
    pub response_timeout: Duration,
}

/// A connection string or a key: never printed, since it may be or hold a password.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// A connection string that is known to be well-formed.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// What a file holds, without the end of its line.
    pub fn from_file(path: &str) -> io::Result<Self> {
        Ok(Self(fs::read_to_string(path)?.trim_end().to_owned()))
    }

    /// The secret itself, for who needs it to speak with a server.
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
        let is_uri = |uri: &str| ConnectionString::parse(uri).is_ok();
        secret(value, is_uri, cmd, arg, "mongodb://[USER:PASSWORD@]HOST[:PORT][/?OPTIONS]")
    }
}

#[derive(Clone)]
struct RedisUrlParser;

impl TypedValueParser for RedisUrlParser {
    type Value = Secret;

    fn parse_ref(&self, cmd: &clap::Command, arg: Option<&clap::Arg>, value: &OsStr) -> Result<Secret, clap::Error> {
        let is_url = |url: &str| RedisUrl::parse(url).is_ok();
        let form = "redis://[USER:PASSWORD@]HOST[:PORT][/DB], \
                    redis+cluster://[USER:PASSWORD@]HOST:PORT,HOST:PORT... or \
                    redis+sentinel://[USER:PASSWORD@]HOST[:PORT],HOST[:PORT].../MASTER[/DB]";
        secret(value, is_url, cmd, arg, form)
    }
}

/// The secret, or an error that does not repeat what was given, as clap's own would.
fn secret(
    value: &OsStr,
    is_good: impl Fn(&str) -> bool,
    cmd: &clap::Command,
    arg: Option<&clap::Arg>,
    form: &str,
) -> Result<Secret, clap::Error> {
    let flag = arg.map(ToString::to_string).unwrap_or_default();
    let message = match given(value) {
        Ok(secret) if is_good(secret.expose()) => return Ok(secret),
        Ok(_) => format!(
            "the value of '{flag}' is not of the form {form} (percent-encode what is reserved in USER and PASSWORD)\n"
        ),
        Err(error) => format!("the file that '{flag}' names cannot be read: {error}\n"),
    };
    let mut error = clap::Error::raw(ErrorKind::ValueValidation, message).with_cmd(cmd);
    error.insert(ContextKind::InvalidArg, ContextValue::String(flag));
    Err(error)
}

/// The value itself, or what the file holds that it names with `file:PATH`.
fn given(value: &OsStr) -> io::Result<Secret> {
    let text = value.to_str().unwrap_or_default();
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
