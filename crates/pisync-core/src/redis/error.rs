//! The errors of the queue.

use deadpool_redis::{
    CreatePoolError, PoolError,
    redis::{ErrorKind, RedisError},
};

/// A failure of the queue as a whole. Its text names the server and the setting, never a secret.
#[derive(Debug, Clone, thiserror::Error)]
pub enum QueueError {
    /// Redis is unavailable or did not answer in time; the same call may work later.
    #[error("redis is not available: {0}")]
    Unavailable(String),
    /// Redis is at its `maxmemory` and accepts no more; the workers will drain it.
    #[error("redis is full: it has reached its maxmemory")]
    OutOfMemory,
    /// The server takes no writes, as a replica does after a failover.
    #[error("redis takes no writes: {0}")]
    ReadOnly(String),
    /// The server cannot write to its disk, or has too few replicas, and therefore takes no writes.
    #[error("redis cannot make writes durable: {0}")]
    NotDurable(String),
    /// A password is wrong or missing, or the user may not do this.
    #[error("redis refuses access: {0}")]
    Denied(String),
    /// A key has the wrong type, since a person or another program wrote it.
    #[error("redis holds a key of another type: {0}")]
    WrongType(String),
    /// Redis answered with an error that a retry will not change.
    #[error("redis refused the command: {0}")]
    Refused(String),
    /// The queue has another number of partitions since the process started, or is about to. The old number is refused.
    #[error("the number of partitions is being changed, or was: start the process with the new --partitions")]
    PartitionsChanged,
    /// Redis or the settings have to change first; waiting will not help.
    #[error("redis is misconfigured: {0}")]
    Misconfigured(String),
}

impl QueueError {
    /// Returns a short stable word for the cause.
    pub fn cause(&self) -> &'static str {
        match self {
            Self::Unavailable(_) => "redis_away",
            Self::OutOfMemory => "redis_full",
            Self::ReadOnly(_) => "redis_read_only",
            Self::NotDurable(_) => "redis_not_durable",
            Self::Denied(_) => "redis_access",
            Self::WrongType(_) => "redis_key_type",
            Self::Refused(_) => "redis_refused",
            Self::PartitionsChanged => "partitions_changed",
            Self::Misconfigured(_) => "redis_settings",
        }
    }

    /// Returns the cause for people. It names no host and no user, since anybody may read it.
    pub fn detail(&self) -> &'static str {
        match self {
            Self::Unavailable(_) => "Redis does not answer",
            Self::OutOfMemory => "Redis has reached its maxmemory",
            Self::ReadOnly(_) => "Redis takes no writes: it is a replica",
            Self::NotDurable(_) => "Redis cannot write to its disk, or has too few replicas",
            Self::Denied(_) => "Redis refuses the user, the password or the command",
            Self::WrongType(_) => "Redis holds a key of another type: the log names it",
            Self::Refused(_) => "Redis refuses the command",
            Self::PartitionsChanged => "the number of partitions is being changed, or was",
            Self::Misconfigured(_) => {
                "Redis is set up so that it would lose events, or the settings do not fit it: the log says which"
            }
        }
    }

    /// Returns whether the settings or the server's set-up have to change before it can work.
    pub fn needs_an_operator(&self) -> bool {
        matches!(self, Self::Denied(_) | Self::WrongType(_) | Self::Misconfigured(_))
    }

    /// Returns whether a retry may succeed.
    pub fn is_passing(&self) -> bool {
        matches!(self, Self::Unavailable(_) | Self::ReadOnly(_) | Self::NotDurable(_))
    }

    /// Returns an error of the driver, with the server at `place`.
    pub(crate) fn at(place: &str, error: &RedisError) -> Self {
        let said = error.to_string();
        let text = format!("{place}: {said}");
        if let Some(setting) = wrong_setting(error, &said) {
            return Self::Misconfigured(format!("{place}: {setting} ({said})"));
        }
        match error.code() {
            Some("OOM") => Self::OutOfMemory,
            Some("READONLY") => Self::ReadOnly(text),
            Some("MISCONF" | "NOREPLICAS") => Self::NotDurable(text),
            // Protected mode accepts only local connections.
            Some("NOPERM" | "DENIED") => Self::Denied(text),
            // A command within a script.
            Some("ERR") if said.contains("user executing the script") => Self::Denied(text),
            Some("WRONGPASS" | "NOAUTH") => Self::Denied(wrong_password(place, &said)),
            Some("WRONGTYPE") => Self::WrongType(text),
            // Another connection will end.
            Some("ERR") if said.contains("max number of clients") => Self::Unavailable(text),
            Some("ERR" | "NOSCRIPT" | "CROSSSLOT") => Self::Refused(text),
            _ if error.kind() == ErrorKind::AuthenticationFailed || says_wrong_password(&said) => {
                Self::Denied(wrong_password(place, &said))
            }
            // LOADING, MASTERDOWN, CLUSTERDOWN, TRYAGAIN and BUSY are temporary, and named by Redis.
            _ => Self::Unavailable(text),
        }
    }

    pub(crate) fn at_pool(place: &str, error: &PoolError) -> Self {
        match error {
            PoolError::Backend(error) => Self::at(place, error),
            other => Self::Unavailable(format!("{place}: {other}")),
        }
    }
}

/// Returns the remedy if the settings and the server do not match: waiting will not help.
fn wrong_setting(error: &RedisError, said: &str) -> Option<&'static str> {
    let says = |word: &str| said.contains(word);
    if says("DB index is out of range") {
        Some("the server has no database of this number: write another one after the host, or none for 0")
    } else if says("cluster support disabled") {
        Some("the server is no node of a cluster: write redis:// in place of redis+cluster://")
    } else if says("does not point to a sentinel") {
        Some("the server is no sentinel: write redis:// in place of redis+sentinel://, or the sentinels' ports")
    } else if says("invalid peer certificate") || error.kind() == ErrorKind::Io && says("certificate") {
        Some(
            "its certificate is not believed: name the CA by --redis-ca-file (PISYNC_REDIS_CA_FILE), and the \
              server by a name that is in its certificate",
        )
    } else {
        None
    }
}

/// Returns whether a text reports a wrong password. The driver wraps the server's text if many nodes or sentinels were
/// asked.
fn says_wrong_password(said: &str) -> bool {
    ["WRONGPASS", "NOAUTH", "invalid password", "invalid username-password"].iter().any(|word| said.contains(word))
}

fn wrong_password(place: &str, said: &str) -> String {
    format!("the user or the password is wrong for {place}: {said}")
}

impl From<CreatePoolError> for QueueError {
    fn from(error: CreatePoolError) -> Self {
        Self::Misconfigured(error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use deadpool_redis::redis::{Value, parse_redis_value};

    use super::*;

    /// Returns the error for an answer as a server writes it.
    fn of(answer: &str) -> QueueError {
        let Value::ServerError(error) = parse_redis_value(format!("-{answer}\r\n").as_bytes()).unwrap() else {
            panic!("{answer} is no error");
        };
        QueueError::at("h:1 (--redis-url)", &RedisError::from(error))
    }

    /// The texts are those of Redis 7.
    #[test]
    fn each_refusal_of_redis_has_its_cause_and_names_the_server() {
        for (answer, cause) in [
            ("WRONGTYPE Operation against a key holding the wrong kind of value", "redis_key_type"),
            (
                "MISCONF Redis is configured to save RDB snapshots, but it's currently unable to persist",
                "redis_not_durable",
            ),
            ("NOREPLICAS Not enough good replicas to write.", "redis_not_durable"),
            ("READONLY You can't write against a read only replica.", "redis_read_only"),
            ("OOM command not allowed when used memory > 'maxmemory'.", "redis_full"),
            ("NOAUTH Authentication required.", "redis_access"),
            ("WRONGPASS invalid username-password pair or user is disabled.", "redis_access"),
            ("NOPERM User a has no permissions to run the 'get' command", "redis_access"),
            ("DENIED Redis is running in protected mode", "redis_access"),
            ("LOADING Redis is loading the dataset in memory", "redis_away"),
            ("MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.", "redis_away"),
            ("CLUSTERDOWN The cluster is down", "redis_away"),
            ("TRYAGAIN Multiple keys request during rehashing of slot", "redis_away"),
            ("BUSY Redis is busy running a script.", "redis_away"),
            ("ERR max number of clients reached", "redis_away"),
            ("ERR DB index is out of range", "redis_settings"),
            ("ERR This instance has cluster support disabled", "redis_settings"),
            ("ERR unknown command 'EVALSHA'", "redis_refused"),
        ] {
            let error = of(answer);
            assert_eq!(error.cause(), cause, "{answer}");
            if cause != "redis_full" {
                assert!(error.to_string().contains("h:1"), "{error}");
            }
        }
        let loading = of("LOADING Redis is loading the dataset in memory").to_string();
        assert!(loading.contains("loading the dataset"), "{loading}");
        let database = of("ERR DB index is out of range").to_string();
        assert!(database.contains("no database of this number"), "{database}");
    }
}
