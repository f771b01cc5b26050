//! One connection to Redis, shared by all who ask and made anew after it fails.

use std::{
    collections::HashMap,
    fmt,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use deadpool_redis::redis::{self, FromRedisValue, RedisError, ScriptInvocation, from_redis_value};

use super::{
    QueueError,
    keys::Keys,
    link::{Link, Source},
};
use crate::{redis_url::RedisUrl, settings::RedisSettings};

/// How often the connection to a cluster, which mends itself, is made anew at the most.
const RENEW: Duration = Duration::from_secs(5);

/// The shared connection.
#[derive(Clone)]
pub(super) struct Redis {
    inner: Arc<Inner>,
}

struct Inner {
    source: Source,
    /// Where each connection compares the number of partitions.
    compared: Option<Arc<Keys>>,
    held: Mutex<Option<Held>>,
    allow_eviction: bool,
    warned: AtomicBool,
}

#[derive(Clone)]
struct Held {
    link: Link,
    since: Instant,
}

impl Redis {
    pub(super) fn new(settings: &RedisSettings, compared: Option<Arc<Keys>>) -> Result<Self, QueueError> {
        let url = RedisUrl::parse(settings.redis_url.expose());
        let url = url.map_err(|error| QueueError::Misconfigured(error.to_string()))?;
        let inner = Inner {
            source: Source::new(url, settings.response_timeout)?,
            compared,
            held: Mutex::new(None),
            allow_eviction: settings.allow_eviction,
            warned: AtomicBool::new(false),
        };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// Whether Redis answers now, and still has our number of partitions.
    pub(super) async fn check(&self) -> Result<(), QueueError> {
        let mut connection = self.connection().await?;
        self.check_partitions(&mut connection).await
    }

    /// Sends one command.
    pub(super) async fn query<T: FromRedisValue>(&self, command: &redis::Cmd) -> Result<T, QueueError> {
        let mut connection = self.connection().await?;
        command.query_async(&mut connection).await.map_err(|error| self.failed(error))
    }

    /// Sends commands together, each with its keys in one slot; in one round trip where one server
    /// has them all.
    pub(super) async fn query_each<T: FromRedisValue>(&self, commands: &[redis::Cmd]) -> Result<Vec<T>, QueueError> {
        let mut connection = self.connection().await?;
        let answers = connection.send_each(commands).await.map_err(|error| self.failed(error))?;
        answers.into_iter().map(read).collect()
    }

    /// Sends one command that names no key to the server that has `key`.
    pub(super) async fn query_at<T: FromRedisValue>(&self, key: &str, command: &redis::Cmd) -> Result<T, QueueError> {
        let mut connection = self.connection().await?;
        read(connection.send_to(key, command).await.map_err(|error| self.failed(error))?)
    }

    /// Runs one script.
    pub(super) async fn run<T: FromRedisValue>(&self, script: &ScriptInvocation<'_>) -> Result<T, QueueError> {
        let mut connection = self.connection().await?;
        script.invoke_async(&mut connection).await.map_err(|error| self.failed(error))
    }

    /// A connection of its own, for listening to a channel.
    pub(super) async fn subscribe(&self, channel: &str) -> Result<redis::aio::PubSub, QueueError> {
        self.inner.source.subscribe(channel).await
    }

    async fn connection(&self) -> Result<Link, QueueError> {
        if let Some(held) = &*self.held() {
            return Ok(held.link.clone());
        }
        let mut link = self.inner.source.connect().await?;
        self.check_durability(&mut link).await?;
        self.check_partitions(&mut link).await?;
        Ok(self.held().get_or_insert(Held { link, since: Instant::now() }).link.clone())
    }

    /// The first process sets the number of partitions; any other number would lose devices.
    ///
    /// Read first, and written only where it is missing: a full Redis refuses the write, and its
    /// workers must be able to connect all the same.
    async fn check_partitions(&self, connection: &mut Link) -> Result<(), QueueError> {
        let Some(keys) = &self.inner.compared else { return Ok(()) };
        let (key, ours) = (keys.shared("partitions"), keys.count());
        let failed = |error| self.failed(error);
        let mut theirs: Option<u16> = redis::cmd("GET").arg(&key).query_async(connection).await.map_err(failed)?;
        if theirs.is_none() {
            // Another process may be first; then nothing is set, and its number is read.
            let set = redis::cmd("SET").arg(&key).arg(ours).arg("NX").clone();
            set.query_async::<Option<String>>(connection).await.map_err(failed)?;
            theirs = redis::cmd("GET").arg(&key).query_async(connection).await.map_err(failed)?;
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
    async fn check_durability(&self, connection: &mut Link) -> Result<(), QueueError> {
        let mut ask = redis::cmd("CONFIG");
        ask.arg("GET").arg("maxmemory-policy").arg("appendonly");
        let Ok(answers) = connection.ask_all(&ask).await else { return Ok(()) };
        for answer in answers {
            let Ok(config) = from_redis_value::<HashMap<String, String>>(answer) else { continue };
            self.judge_durability(&config)?;
        }
        Ok(())
    }

    fn judge_durability(&self, config: &HashMap<String, String>) -> Result<(), QueueError> {
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

    /// Takes note of a failure: a connection that failed is not used again. That to a cluster
    /// serves other partitions yet, and is made anew only now and then.
    fn failed(&self, error: RedisError) -> QueueError {
        let read_only = error.code().is_some_and(|code| matches!(code, "READONLY" | "MASTERDOWN" | "LOADING"));
        if error.is_io_error() || error.is_timeout() || error.is_unrecoverable_error() || read_only {
            self.held().take_if(|held| !held.link.mends_itself() || held.since.elapsed() > RENEW);
        }
        error.into()
    }

    fn held(&self) -> std::sync::MutexGuard<'_, Option<Held>> {
        self.inner.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn read<T: FromRedisValue>(answer: redis::Value) -> Result<T, QueueError> {
    from_redis_value(answer).map_err(|error| RedisError::from(error).into())
}

impl fmt::Debug for Redis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Redis").finish_non_exhaustive()
    }
}
