//! One connection to Redis, shared by all who ask and made anew after it fails.

use std::{
    collections::HashMap,
    fmt,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::Duration,
};

use deadpool_redis::{
    Manager, Pool, PoolConfig, Runtime, Timeouts,
    redis::{self, AsyncConnectionConfig, FromRedisValue, RedisError, ScriptInvocation, aio::MultiplexedConnection},
};

use super::{QueueError, keys::Keys};
use crate::settings::RedisSettings;

/// How long a new connection may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);

/// The shared connection. The driver multiplexes it: callers do not wait for each other.
///
/// It is held outside the pool's checkout, whose PING costs a round trip each time.
#[derive(Clone)]
pub(super) struct Redis {
    inner: Arc<Inner>,
}

struct Inner {
    pool: Pool,
    client: redis::Client,
    keys: Arc<Keys>,
    held: Mutex<Option<MultiplexedConnection>>,
    allow_eviction: bool,
    warned: AtomicBool,
}

impl Redis {
    pub(super) fn new(settings: &RedisSettings, keys: Arc<Keys>) -> Result<Self, QueueError> {
        let malformed = |error: RedisError| QueueError::Misconfigured(error.to_string());
        let info = settings.connection_info().map_err(malformed)?;
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(CONNECT_TIMEOUT))
            .set_response_timeout(Some(settings.response_timeout));
        let manager = Manager::new_with_config(info.clone(), config).map_err(malformed)?;
        let timeouts =
            Timeouts { wait: Some(CONNECT_TIMEOUT), create: Some(CONNECT_TIMEOUT), recycle: Some(CONNECT_TIMEOUT) };
        let pool = Pool::builder(manager)
            .config(PoolConfig { max_size: 4, timeouts, ..PoolConfig::default() })
            .runtime(Runtime::Tokio1)
            .build()
            .map_err(|error| QueueError::Misconfigured(error.to_string()))?;
        let client = redis::Client::open(info).map_err(malformed)?;
        let inner = Inner {
            pool,
            client,
            keys,
            held: Mutex::new(None),
            allow_eviction: settings.allow_eviction,
            warned: AtomicBool::new(false),
        };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// Whether Redis answers now.
    pub(super) async fn ping(&self) -> Result<(), QueueError> {
        self.query(&redis::cmd("PING")).await
    }

    /// Sends one command.
    pub(super) async fn query<T: FromRedisValue>(&self, command: &redis::Cmd) -> Result<T, QueueError> {
        let mut connection = self.connection().await?;
        command.query_async(&mut connection).await.map_err(|error| self.failed(error))
    }

    /// Sends commands together, in one round trip.
    pub(super) async fn pipeline<T: FromRedisValue>(&self, commands: &redis::Pipeline) -> Result<T, QueueError> {
        let mut connection = self.connection().await?;
        commands.query_async(&mut connection).await.map_err(|error| self.failed(error))
    }

    /// Runs one script.
    pub(super) async fn run<T: FromRedisValue>(&self, script: &ScriptInvocation<'_>) -> Result<T, QueueError> {
        let mut connection = self.connection().await?;
        script.invoke_async(&mut connection).await.map_err(|error| self.failed(error))
    }

    /// A connection of its own, for listening to a channel.
    pub(super) async fn subscribe(&self, channel: &str) -> Result<redis::aio::PubSub, QueueError> {
        let connect = async {
            let mut listener = self.inner.client.get_async_pubsub().await?;
            listener.subscribe(channel).await?;
            Ok::<_, RedisError>(listener)
        };
        match tokio::time::timeout(CONNECT_TIMEOUT, connect).await {
            Ok(listener) => Ok(listener?),
            Err(_) => Err(QueueError::Unavailable("no answer to a subscription in time".into())),
        }
    }

    async fn connection(&self) -> Result<MultiplexedConnection, QueueError> {
        if let Some(connection) = self.held().clone() {
            return Ok(connection);
        }
        let mut connection = deadpool_redis::Connection::take(self.inner.pool.get().await?);
        self.check_durability(&mut connection).await?;
        self.check_partitions(&mut connection).await?;
        Ok(self.held().get_or_insert(connection).clone())
    }

    /// The first process sets the number of partitions; any other number would lose devices.
    ///
    /// Read first, and written only where it is missing: a full Redis refuses the write, and its
    /// workers must be able to connect all the same.
    async fn check_partitions(&self, connection: &mut MultiplexedConnection) -> Result<(), QueueError> {
        let (key, ours) = (self.inner.keys.shared("partitions"), self.inner.keys.count());
        let mut theirs: Option<u16> = redis::cmd("GET").arg(&key).query_async(connection).await?;
        if theirs.is_none() {
            // Another process may be first; then nothing is set, and its number is read.
            redis::cmd("SET").arg(&key).arg(ours).arg("NX").query_async::<Option<String>>(connection).await?;
            theirs = redis::cmd("GET").arg(&key).query_async(connection).await?;
        }
        match theirs {
            Some(theirs) if theirs != ours => Err(QueueError::Misconfigured(format!(
                "the queue has {theirs} partitions and this process was started with {ours}: \
                 set --partitions (PISYNC_PARTITIONS) to {theirs}"
            ))),
            _ => Ok(()),
        }
    }

    /// A Redis that evicts would lose events it has acknowledged; one that does not write them to
    /// disk loses them when it dies. A server that does not tell (a managed one) is believed.
    async fn check_durability(&self, connection: &mut MultiplexedConnection) -> Result<(), QueueError> {
        let mut ask = redis::cmd("CONFIG");
        ask.arg("GET").arg("maxmemory-policy").arg("appendonly");
        let Ok(config) = ask.query_async::<HashMap<String, String>>(connection).await else { return Ok(()) };
        let policy = config.get("maxmemory-policy").map_or("noeviction", String::as_str);
        if policy != "noeviction" && !self.inner.allow_eviction {
            return Err(QueueError::Misconfigured(format!(
                "its maxmemory-policy is {policy} and would throw away acknowledged events: set it to noeviction, \
                 or accept the loss by --allow-eviction (PISYNC_ALLOW_EVICTION)"
            )));
        }
        if config.get("appendonly").is_some_and(|appendonly| appendonly == "no")
            && !self.inner.warned.swap(true, Relaxed)
        {
            log::warn!("redis does not write to disk (appendonly no): events in the queue are lost when it dies");
        }
        Ok(())
    }

    /// Takes note of a failure: a connection that failed is not used again.
    fn failed(&self, error: RedisError) -> QueueError {
        let read_only = error.code().is_some_and(|code| matches!(code, "READONLY" | "MASTERDOWN" | "LOADING"));
        if error.is_io_error() || error.is_timeout() || error.is_unrecoverable_error() || read_only {
            self.held().take();
        }
        error.into()
    }

    fn held(&self) -> std::sync::MutexGuard<'_, Option<MultiplexedConnection>> {
        self.inner.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Redis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Redis").finish_non_exhaustive()
    }
}
