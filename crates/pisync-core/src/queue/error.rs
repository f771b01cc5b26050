//! Why the queue did not do as asked.

use deadpool_redis::{CreatePoolError, PoolError, redis::RedisError};

/// A failure of the queue as a whole.
#[derive(Debug, Clone, thiserror::Error)]
pub enum QueueError {
    /// Redis is away or did not answer in time; the same call may work later.
    #[error("redis is not available: {0}")]
    Unavailable(String),
    /// Redis is at its `maxmemory` and takes no more; the workers will drain it.
    #[error("redis is full: it has reached its maxmemory")]
    OutOfMemory,
    /// The queue has got another number of partitions since the process was started, or is about
    /// to: nothing is taken or handed out by the old one.
    #[error("the number of partitions is being changed, or was: start the process with the new --partitions")]
    PartitionsChanged,
    /// Redis or the settings are such that waiting will not help.
    #[error("redis cannot be used as it is set up: {0}")]
    Misconfigured(String),
}

impl From<RedisError> for QueueError {
    fn from(error: RedisError) -> Self {
        match error.code() {
            Some("OOM") => Self::OutOfMemory,
            Some(code @ ("WRONGPASS" | "NOAUTH" | "NOPERM")) => Self::Misconfigured(format!("access refused ({code})")),
            _ => Self::Unavailable(error.to_string()),
        }
    }
}

impl From<PoolError> for QueueError {
    fn from(error: PoolError) -> Self {
        match error {
            PoolError::Backend(error) => error.into(),
            other => Self::Unavailable(other.to_string()),
        }
    }
}

impl From<CreatePoolError> for QueueError {
    fn from(error: CreatePoolError) -> Self {
        Self::Misconfigured(error.to_string())
    }
}
