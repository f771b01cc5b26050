//! Why the queue did not do as asked.

use deadpool_redis::{
    CreatePoolError, PoolError,
    redis::{ErrorKind, RedisError},
};

/// A failure of the queue as a whole. Its text names the server and the setting, never a secret.
#[derive(Debug, Clone, thiserror::Error)]
pub enum QueueError {
    /// Redis is away or did not answer in time; the same call may work later.
    #[error("redis is not available: {0}")]
    Unavailable(String),
    /// Redis is at its `maxmemory` and takes no more; the workers will drain it.
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
    /// Redis answered with an error that another try will not change, such as a key of another type.
    #[error("redis refused the command: {0}")]
    Refused(String),
    /// The queue has got another number of partitions since the process was started, or is about
    /// to: nothing is taken or handed out by the old one.
    #[error("the number of partitions is being changed, or was: start the process with the new --partitions")]
    PartitionsChanged,
    /// Redis or the settings are such that waiting will not help.
    #[error("redis cannot be used as it is set up: {0}")]
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
            Self::Refused(_) => "redis_refused",
            Self::PartitionsChanged => "partitions_changed",
            Self::Misconfigured(_) => "redis_settings",
        }
    }

    /// Returns whether the settings or the server's set-up have to change before it can work.
    pub fn needs_an_operator(&self) -> bool {
        matches!(self, Self::Denied(_) | Self::Misconfigured(_))
    }

    /// Returns whether a further try may find Redis there.
    pub fn is_passing(&self) -> bool {
        matches!(self, Self::Unavailable(_) | Self::ReadOnly(_) | Self::NotDurable(_))
    }

    /// An error of the driver, of the server at `place`.
    pub(super) fn at(place: &str, error: &RedisError) -> Self {
        let said = error.to_string();
        let text = format!("{place}: {said}");
        match error.code() {
            Some("OOM") => Self::OutOfMemory,
            Some("READONLY") => Self::ReadOnly(text),
            Some("MISCONF" | "NOREPLICAS") => Self::NotDurable(text),
            Some("NOPERM") => Self::Denied(text),
            // A command within a script.
            Some("ERR") if said.contains("user executing the script") => Self::Denied(text),
            Some("WRONGPASS" | "NOAUTH") => Self::Denied(wrong_password(place, &said)),
            Some("WRONGTYPE" | "ERR" | "NOSCRIPT" | "CROSSSLOT") => Self::Refused(text),
            _ if error.kind() == ErrorKind::AuthenticationFailed || says_wrong_password(&said) => {
                Self::Denied(wrong_password(place, &said))
            }
            _ => Self::Unavailable(text),
        }
    }

    pub(super) fn at_pool(place: &str, error: &PoolError) -> Self {
        match error {
            PoolError::Backend(error) => Self::at(place, error),
            other => Self::Unavailable(format!("{place}: {other}")),
        }
    }
}

/// The driver wraps what a server says when many nodes or sentinels were asked.
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
