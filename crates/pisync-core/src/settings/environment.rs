//! Settings from environment variables, as people and their tools write them.

use std::{
    collections::BTreeSet,
    env,
    ffi::{OsStr, OsString},
};

use clap::{Arg, Command, builder::Resettable};

/// The prefix of every variable.
const PREFIX: &str = "PISYNC_";

/// The variables of all programs and scripts: one file of settings may serve them all.
pub const KNOWN_VARIABLES: &[&str] = &[
    "PISYNC_ALERT_CONFIG",
    "PISYNC_ALERT_LOG",
    "PISYNC_ALERT_SCHEDULE",
    "PISYNC_ALERT_THRESHOLD",
    "PISYNC_ALLOWED_HOSTS",
    "PISYNC_ALLOW_EVICTION",
    "PISYNC_API_KEY",
    "PISYNC_API_KEY_FILE",
    "PISYNC_AUTH",
    "PISYNC_BATCH",
    "PISYNC_BIND",
    "PISYNC_CORS_ORIGINS",
    "PISYNC_CURSOR_KEY_FILE",
    "PISYNC_DEVICE_BURST",
    "PISYNC_DEVICE_KEY_FILE",
    "PISYNC_DEVICE_RATE",
    "PISYNC_EXTERNAL_URL",
    "PISYNC_FAILURE_COUNTER_COLLECTION",
    "PISYNC_KEEP_ALIVE",
    "PISYNC_KEYS_FILE",
    "PISYNC_KEY_PREFIX",
    "PISYNC_KEY_RATE",
    "PISYNC_LANES",
    "PISYNC_LEASE_MS",
    "PISYNC_LOG_FORMAT",
    "PISYNC_MAX_CONNECTIONS",
    "PISYNC_MAX_DEVICES",
    "PISYNC_MAX_QUEUE",
    "PISYNC_MONGO_CA_FILE",
    "PISYNC_MONGO_DB",
    "PISYNC_MONGO_URI",
    "PISYNC_OPS_BIND",
    "PISYNC_PARTITIONS",
    "PISYNC_REDIS_CA_FILE",
    "PISYNC_REDIS_URL",
    "PISYNC_REPORT_INTERVAL",
    "PISYNC_RETAIN_DAYS",
    "PISYNC_RUNBOOK_URL",
    "PISYNC_SIGNING_KEY_FILE",
    "PISYNC_SILENT_AFTER",
    "PISYNC_SMTP_PASSWORD",
    "PISYNC_SYNC_EVENT_COLLECTION",
    "PISYNC_TLS_CERT",
    "PISYNC_TLS_KEY",
    "PISYNC_TRUSTED_PROXIES",
    // For tests of the system; release builds ignore them.
    #[cfg(feature = "failpoints")]
    "PISYNC_ALERT_LEASE_MS",
    #[cfg(feature = "failpoints")]
    "PISYNC_ALERT_TICK_TIMEOUT_MS",
    #[cfg(feature = "failpoints")]
    "PISYNC_CRASH_AT",
    #[cfg(feature = "failpoints")]
    "PISYNC_FIRST_RECORD_MS",
    #[cfg(feature = "failpoints")]
    "PISYNC_NO_BOUNDS",
    #[cfg(feature = "failpoints")]
    "PISYNC_WRITE_DOCS",
    // For the scripts and the examples of deploy/.
    "PISYNC_ADDRESS",
    "PISYNC_ALERTS",
    "PISYNC_BINARIES",
    "PISYNC_CONTAINERS_LOAD",
    "PISYNC_KEY",
    "PISYNC_PORTS",
    "PISYNC_PROFILE",
    "PISYNC_REPOSITORY",
    "PISYNC_STATE_DIR",
    "PISYNC_UP_DIR",
    "PISYNC_URL",
    "PISYNC_VERSION",
];

/// The least similarity of names that are suggested (Jaro-Winkler, 0 to 1).
const ALIKE: f64 = 0.9;

/// Cleans the variables of a command: an empty one is not set, and surrounding white space and quotes are removed.
pub(super) fn read_into(command: Command) -> Command {
    command.mut_args(|arg| take(arg, |name| env::var_os(name))).mut_subcommands(read_into)
}

fn take(arg: Arg, variable: impl Fn(&OsStr) -> Option<OsString>) -> Arg {
    let Some(given) = arg.get_env().and_then(variable) else { return arg };
    let Some(text) = given.to_str() else { return arg };
    match meant(text) {
        "" => arg.env(Resettable::Reset),
        value if value == text => arg,
        // The variable itself cannot be changed; its value becomes the default instead.
        value => arg.env(Resettable::Reset).default_value(value.to_owned()),
    }
}

/// Returns a value without surrounding white space and one pair of quotes.
fn meant(value: &str) -> &str {
    let value = value.trim();
    let unquoted = |quote| value.strip_prefix(quote)?.strip_suffix(quote);
    unquoted('"').or_else(|| unquoted('\'')).map_or(value, str::trim)
}

/// Returns a warning for each variable of an environment that looks like a setting and is none.
pub fn unknown_variables(command: &Command, environment: impl Iterator<Item = (OsString, OsString)>) -> Vec<String> {
    let mut known: BTreeSet<String> = KNOWN_VARIABLES.iter().map(|&name| name.to_owned()).collect();
    collect(command, &mut known);
    let names = environment.filter_map(|(name, value)| {
        let name = name.into_string().ok()?;
        let is_setting = name.starts_with(PREFIX) && !known.contains(&name) && !is_of_others(&name, &value);
        is_setting.then_some(name)
    });
    let mut warnings: Vec<_> = names.map(|name| warning(&name, &known)).collect();
    warnings.sort_unstable();
    warnings
}

fn collect(command: &Command, into: &mut BTreeSet<String>) {
    into.extend(command.get_arguments().filter_map(Arg::get_env).map(|name| name.to_string_lossy().into_owned()));
    command.get_subcommands().for_each(|verb| collect(verb, into));
}

/// Returns whether a variable belongs to others: Kubernetes gives each process the addresses of the services around it;
/// tests have their own.
fn is_of_others(name: &str, value: &OsStr) -> bool {
    let is_address = value.to_str().is_some_and(|value| value.starts_with("tcp://") || value.starts_with("udp://"));
    let is_service = name.ends_with("_SERVICE_HOST") || name.contains("_SERVICE_PORT") || name.contains("_PORT_");
    is_service || is_address || name.starts_with("PISYNC_TEST_")
}

fn warning(name: &str, known: &BTreeSet<String>) -> String {
    let closeness = |other: &&String| strsim::jaro_winkler(&name[PREFIX.len()..], &other[PREFIX.len()..]);
    let closest = known.iter().max_by(|a, b| closeness(a).total_cmp(&closeness(b)));
    match closest.filter(|other| closeness(other) >= ALIKE) {
        Some(other) => {
            format!("the environment variable {name} is no setting and has no effect; did you mean {other}?")
        }
        None => format!("the environment variable {name} is no setting and has no effect"),
    }
}

#[cfg(test)]
mod tests {
    use clap::value_parser;

    use super::*;

    fn parsed(value: &str) -> Result<Option<u16>, clap::Error> {
        let arg = Arg::new("n").long("n").env("PISYNC_OF_A_TEST").value_parser(value_parser!(u16)).default_value("7");
        // As if the variable had this value.
        let arg = match take(arg, |_| Some(value.into())) {
            arg if arg.get_env().is_some() => arg.default_value(value.to_owned()),
            arg => arg,
        };
        let matches = Command::new("test").arg(arg).try_get_matches_from(["test"])?;
        Ok(matches.get_one("n").copied())
    }

    #[test]
    fn a_variable_is_taken_as_it_is_meant() {
        for (value, number) in [
            ("16", 16),
            (" 16", 16),
            ("16\r\n", 16),
            ("\"16\"", 16),
            ("'16'\n", 16),
            ("\" 16 \"", 16),
            ("", 7),
            ("  ", 7),
            ("\"\"", 7),
        ] {
            assert_eq!(parsed(value).unwrap(), Some(number), "{value:?}");
        }
        assert!(parsed("\"16").is_err());
        assert_eq!(meant("\""), "\"");
    }

    #[test]
    fn a_variable_that_is_no_setting_is_named_with_the_one_that_was_meant() {
        let command = Command::new("test").arg(Arg::new("a").long("a").env("PISYNC_OF_THIS_TEST"));
        let of = |name: &str, value: &str| {
            unknown_variables(&command, [(name.into(), value.into())].into_iter()).pop().unwrap_or_default()
        };
        assert!(of("PISYNC_REDIS_URI", "x").ends_with("did you mean PISYNC_REDIS_URL?"));
        assert!(of("PISYNC_MONGODB_URI", "x").ends_with("did you mean PISYNC_MONGO_URI?"));
        assert!(of("PISYNC_COLOUR", "x").ends_with("has no effect"));
        for (name, value) in [
            ("PISYNC_REDIS_URL", "x"),
            ("PISYNC_OF_THIS_TEST", "x"),
            ("PISYNC_TEST_BIN", "x"),
            ("PISYNC_REDIS_SERVICE_HOST", "10.0.0.1"),
            ("PISYNC_REDIS_SERVICE_PORT_CLIENT", "6379"),
            ("PISYNC_REDIS_PORT", "tcp://10.0.0.1:6379"),
            ("PISYNC_REDIS_PORT_6379_TCP_ADDR", "10.0.0.1"),
            ("HOME", "x"),
        ] {
            assert_eq!(of(name, value), "", "{name}");
        }
    }
}
