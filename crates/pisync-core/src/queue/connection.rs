//! One connection to Redis, shared by all who ask and made anew after it fails.

use std::{
    collections::BTreeSet,
    fmt,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use deadpool_redis::redis::{self, FromRedisValue, RedisError, ScriptInvocation, from_redis_value};

use super::{
    Partition, QueueError,
    durability::{self, Verdict},
    keys::Keys,
    link::{Link, Source},
};
use crate::{redis_url::RedisUrl, refusal_log::RefusalLog, settings::RedisSettings};

/// How often the connection to a cluster, which mends itself, is made anew at the most.
const RENEW: Duration = Duration::from_secs(5);

/// How long no push must have been refused for a cause until it is over.
const QUIET: Duration = Duration::from_secs(3);

/// The shared connection.
#[derive(Clone)]
pub(super) struct Redis {
    inner: Arc<Inner>,
}

struct Inner {
    source: Source,
    /// The user that Redis is told, for people.
    user: String,
    /// Where each connection compares the number of partitions.
    compared: Option<Arc<Keys>>,
    /// Whether the number was the same once: from then on the scripts see to it.
    was_compared: AtomicBool,
    held: Mutex<Option<Held>>,
    is_renewing: AtomicBool,
    /// In a cluster, the connection for the partitions that answer.
    aside: Mutex<Option<Link>>,
    /// In a cluster, the partitions whose node does not answer.
    away: Mutex<BTreeSet<Partition>>,
    allow_eviction: bool,
    /// Why nothing may be pushed, though Redis would take it.
    unsafe_because: Mutex<Option<String>>,
    warned: AtomicBool,
    refusals: RefusalLog,
}

#[derive(Clone)]
struct Held {
    link: Link,
    since: Instant,
}

impl Redis {
    pub(super) fn new(settings: &RedisSettings, compared: Option<Arc<Keys>>) -> Result<Self, QueueError> {
        let misconfigured =
            |error: &dyn fmt::Display| QueueError::Misconfigured(format!("--redis-url (PISYNC_REDIS_URL): {error}"));
        let url = RedisUrl::parse(settings.redis_url.expose()).map_err(|error| misconfigured(&error))?;
        let inner = Inner {
            user: url.user.clone(),
            source: Source::new(url, settings.redis_ca_file.as_ref(), settings.response_timeout)
                .map_err(|error| misconfigured(&error))?,
            compared,
            was_compared: AtomicBool::new(false),
            held: Mutex::new(None),
            is_renewing: AtomicBool::new(false),
            aside: Mutex::default(),
            away: Mutex::default(),
            allow_eviction: settings.allow_eviction,
            unsafe_because: Mutex::new(None),
            warned: AtomicBool::new(false),
            refusals: RefusalLog::new("reports are refused", "reports are taken again", QUIET),
        };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// The log of refused pushes.
    pub(super) fn refusals(&self) -> &RefusalLog {
        &self.inner.refusals
    }

    /// Where Redis is and which setting says so, for people.
    pub(super) fn place(&self) -> &str {
        self.inner.source.place()
    }

    /// The user that Redis is told.
    pub(super) fn user(&self) -> &str {
        &self.inner.user
    }

    /// Whether there are several servers, of which one may be away while the others are there.
    pub(super) fn is_cluster(&self) -> bool {
        self.inner.source.is_cluster()
    }

    /// Returns whether Redis answers now, keeps what it takes, and has our number of partitions.
    pub(super) async fn check(&self) -> Result<(), QueueError> {
        let mut connection = self.connection().await?;
        self.examine(&mut connection).await?;
        self.is_safe()?;
        self.check_partitions(&mut connection).await
    }

    /// Fails while Redis would take a push and might lose it.
    pub(super) fn is_safe(&self) -> Result<(), QueueError> {
        match &*lock(&self.inner.unsafe_because) {
            Some(why) => Err(QueueError::Misconfigured(why.clone())),
            None => Ok(()),
        }
    }

    /// Sends one command.
    pub(super) async fn query<T: FromRedisValue>(&self, command: &redis::Cmd) -> Result<T, QueueError> {
        let mut connection = self.connection().await?;
        command.query_async(&mut connection).await.map_err(|error| self.failed(&error))
    }

    /// Sends commands together, each with its keys in one slot; in one round trip where one server
    /// has them all.
    pub(super) async fn query_each<T: FromRedisValue>(&self, commands: &[redis::Cmd]) -> Result<Vec<T>, QueueError> {
        let mut connection = self.connection().await?;
        let answers = connection.send_each(commands).await.map_err(|error| self.failed(&error))?;
        answers.into_iter().map(|answer| self.read(answer)).collect()
    }

    /// Sends one command that names no key to the server that has `key`.
    pub(super) async fn query_at<T: FromRedisValue>(&self, key: &str, command: &redis::Cmd) -> Result<T, QueueError> {
        let mut connection = self.connection().await?;
        let answer = connection.send_to(key, command).await.map_err(|error| self.failed(&error))?;
        self.read(answer)
    }

    /// Sends one command that names no key to every server that takes writes.
    pub(super) async fn query_all<T: FromRedisValue>(&self, command: &redis::Cmd) -> Result<Vec<T>, QueueError> {
        let mut connection = self.connection().await?;
        let answers = connection.ask_all(command).await.map_err(|error| self.failed(&error))?;
        answers.into_iter().map(|answer| self.read(answer)).collect()
    }

    /// Runs one script on the keys of a partition.
    ///
    /// While a node of a cluster is away, the driver looks for it again and again, and holds up
    /// everything else on its connection. So what is for the partitions that answer has a connection
    /// of its own, and one that fails is asked over the other until it answers.
    pub(super) async fn run_at<T: FromRedisValue>(
        &self,
        partition: Partition,
        script: &ScriptInvocation<'_>,
    ) -> Result<T, QueueError> {
        if !self.is_cluster() {
            return self.run(script).await;
        }
        let was_away = lock(&self.inner.away).contains(&partition);
        let outcome = if was_away { self.run(script).await } else { self.run_aside(script).await };
        match &outcome {
            Err(error) if error.is_passing() => drop(lock(&self.inner.away).insert(partition)),
            _ if was_away => {
                let mut away = lock(&self.inner.away);
                away.remove(&partition);
                if away.is_empty() {
                    // What the driver knows of the nodes may be old.
                    lock(&self.inner.aside).take();
                }
            }
            _ => {}
        }
        outcome
    }

    async fn run_aside<T: FromRedisValue>(&self, script: &ScriptInvocation<'_>) -> Result<T, QueueError> {
        let held = lock(&self.inner.aside).clone();
        let mut link = if let Some(link) = held {
            link
        } else {
            let link = self.connect().await?;
            lock(&self.inner.aside).get_or_insert(link).clone()
        };
        script.invoke_async(&mut link).await.map_err(|error| QueueError::at(self.place(), &error))
    }

    /// Runs one script.
    pub(super) async fn run<T: FromRedisValue>(&self, script: &ScriptInvocation<'_>) -> Result<T, QueueError> {
        let mut connection = self.connection().await?;
        script.invoke_async(&mut connection).await.map_err(|error| self.failed(&error))
    }

    /// A connection of its own, for listening to a channel.
    pub(super) async fn subscribe(&self, channel: &str) -> Result<redis::aio::PubSub, QueueError> {
        self.inner.source.subscribe(channel).await
    }

    async fn connection(&self) -> Result<Link, QueueError> {
        if let Some(held) = &*self.held() {
            return Ok(held.link.clone());
        }
        let link = self.connect().await?;
        Ok(self.held().get_or_insert(Held { link, since: Instant::now() }).link.clone())
    }

    async fn connect(&self) -> Result<Link, QueueError> {
        let mut link = self.inner.source.connect().await?;
        let passing = self.examine(&mut link).await.and(self.check_partitions(&mut link).await);
        match passing {
            // A node of the cluster is away: the others serve their partitions.
            Err(error) if error.is_passing() && self.is_cluster() && self.inner.was_compared.load(Relaxed) => {}
            // Each command says by itself that it is refused; which rights are missing can be asked.
            Err(QueueError::Denied(_)) => {}
            other => other?,
        }
        Ok(link)
    }

    /// The first process sets the number of partitions; any other number would lose devices.
    ///
    /// Read first, and written only where it is missing: a full Redis refuses the write, and its
    /// workers must be able to connect all the same.
    async fn check_partitions(&self, connection: &mut Link) -> Result<(), QueueError> {
        let Some(keys) = &self.inner.compared else { return Ok(()) };
        let (key, ours) = (keys.shared("partitions"), keys.count());
        let failed = |error: RedisError| self.failed(&error);
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
            _ => {
                self.inner.was_compared.store(true, Relaxed);
                Ok(())
            }
        }
    }

    /// Looks whether the servers keep what they have taken, and remembers it for the pushes. What
    /// was wrong when a process started may be put right while it runs, and the other way round.
    async fn examine(&self, connection: &mut Link) -> Result<(), QueueError> {
        let servers = durability::ask(connection).await.map_err(|error| self.failed(&error))?;
        let (mut why, mut keeps_on_disk) = (None, true);
        for server in &servers {
            if !self.inner.allow_eviction
                && let Verdict::Unsafe(reason) = server.policy(self.user())
            {
                why = Some(format!("{}: {reason}", self.place()));
            }
            keeps_on_disk &= server.is_on_disk != Some(false);
        }
        *lock(&self.inner.unsafe_because) = why;
        if !keeps_on_disk && !self.inner.warned.swap(true, Relaxed) {
            let place = self.place();
            log::warn!(
                "redis at {place} does not write to disk (appendonly no): events in the queue are lost when it dies"
            );
        }
        Ok(())
    }

    /// Takes note of a failure: a connection that failed is not used again. That to a cluster
    /// serves other partitions yet, and is made anew beside it, and only now and then.
    fn failed(&self, error: &RedisError) -> QueueError {
        let read_only = error.code().is_some_and(|code| matches!(code, "READONLY" | "MASTERDOWN" | "LOADING"));
        if error.is_io_error() || error.is_timeout() || error.is_unrecoverable_error() || read_only {
            if self.is_cluster() { self.renew() } else { drop(self.held().take()) }
        }
        QueueError::at(self.place(), error)
    }

    fn renew(&self) {
        let is_old = self.held().as_ref().is_some_and(|held| held.since.elapsed() > RENEW);
        if !is_old || self.inner.is_renewing.swap(true, Relaxed) {
            return;
        }
        let redis = self.clone();
        tokio::spawn(async move {
            let made = redis.connect().await;
            if let Some(held) = &mut *redis.held() {
                held.since = Instant::now();
                if let Ok(link) = made {
                    held.link = link;
                }
            }
            redis.inner.is_renewing.store(false, Relaxed);
        });
    }

    fn held(&self) -> MutexGuard<'_, Option<Held>> {
        lock(&self.inner.held)
    }

    fn read<T: FromRedisValue>(&self, answer: redis::Value) -> Result<T, QueueError> {
        from_redis_value(answer).map_err(|error| QueueError::at(self.place(), &RedisError::from(error)))
    }
}

fn lock<T>(of: &Mutex<T>) -> MutexGuard<'_, T> {
    of.lock().unwrap_or_else(PoisonError::into_inner)
}

impl fmt::Debug for Redis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Redis").field("place", &self.place()).finish_non_exhaustive()
    }
}
