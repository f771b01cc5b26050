//! One connection to Redis, shared by all callers and replaced after a failure.

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
    durability::{self, EvictionSafety},
    error::QueueError,
    keys::{Keys, Partition},
    link::{Link, LinkSource},
    url::RedisUrl,
};
use crate::{refusal_log::RefusalLog, settings::RedisSettings, unreadable};

/// The shortest interval between replacements of a cluster's connection, which also recovers by itself.
const RENEW: Duration = Duration::from_secs(5);

/// The time without a refused push after which a cause is over.
const QUIET: Duration = Duration::from_secs(3);

/// The number of keys in one round trip for their types.
const TYPES_BATCH_SIZE: usize = 500;

/// The shared connection.
#[derive(Clone)]
pub(crate) struct Redis {
    inner: Arc<Inner>,
}

struct Inner {
    source: LinkSource,
    /// The user name sent to Redis, for people.
    user: String,
    /// The keys, to compare the number of partitions on each connection.
    compared: Option<Arc<Keys>>,
    /// Whether the number was confirmed once: from then on the scripts check it.
    was_compared: AtomicBool,
    held: Mutex<Option<OpenLink>>,
    is_renewing: AtomicBool,
    /// In a cluster, the connection for the partitions that answer.
    aside: Mutex<Option<Link>>,
    /// In a cluster, the partitions with an unavailable node.
    away: Mutex<BTreeSet<Partition>>,
    allow_eviction: bool,
    /// The reason that pushes are refused, though Redis would accept them.
    unsafe_because: Mutex<Option<String>>,
    warned: AtomicBool,
    refusals: RefusalLog,
}

#[derive(Clone)]
struct OpenLink {
    link: Link,
    since: Instant,
}

impl Redis {
    pub(crate) fn new(settings: &RedisSettings, compared: Option<Arc<Keys>>) -> Result<Self, QueueError> {
        let misconfigured =
            |error: &dyn fmt::Display| QueueError::Misconfigured(format!("--redis-url (PISYNC_REDIS_URL): {error}"));
        let url = RedisUrl::parse(settings.redis_url.expose()).map_err(|error| misconfigured(&error))?;
        let inner = Inner {
            user: url.user.clone(),
            source: LinkSource::new(url, settings.redis_ca_file.as_ref(), settings.response_timeout)
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
            refusals: RefusalLog::new("reports are refused", "reports are accepted again", QUIET),
        };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// Returns the log of refused pushes.
    pub(crate) fn refusals(&self) -> &RefusalLog {
        &self.inner.refusals
    }

    /// Returns the address of Redis and the setting that names it, for people.
    pub(crate) fn place(&self) -> &str {
        self.inner.source.place()
    }

    /// Returns the user name sent to Redis.
    pub(crate) fn user(&self) -> &str {
        &self.inner.user
    }

    /// Returns whether there are several servers, of which some may be unavailable alone.
    pub(crate) fn is_cluster(&self) -> bool {
        self.inner.source.is_cluster()
    }

    /// Returns whether Redis answers now, persists its writes, and has our number of partitions.
    pub(crate) async fn check(&self) -> Result<(), QueueError> {
        let mut connection = self.connection().await?;
        self.examine(&mut connection).await?;
        self.is_safe()?;
        self.check_partitions(&mut connection).await
    }

    /// Fails while Redis would accept a push and might lose it.
    pub(crate) fn is_safe(&self) -> Result<(), QueueError> {
        match &*lock(&self.inner.unsafe_because) {
            Some(why) => Err(QueueError::Misconfigured(why.clone())),
            None => Ok(()),
        }
    }

    /// Sends one command.
    pub(crate) async fn query<T: FromRedisValue>(&self, command: &redis::Cmd) -> Result<T, QueueError> {
        let mut connection = self.connection().await?;
        let answer = command.query_async(&mut connection).await.map_err(|error| self.failed(&error));
        self.named(&mut connection, answer, || self.keys_in(&[command])).await
    }

    /// Sends commands together, each with its keys in one slot; in one round trip if one server has them all.
    pub(crate) async fn query_each<T: FromRedisValue>(&self, commands: &[redis::Cmd]) -> Result<Vec<T>, QueueError> {
        let mut connection = self.connection().await?;
        let answers = connection.send_each(commands).await.map_err(|error| self.failed(&error));
        let keys = || self.keys_in(&commands.iter().collect::<Vec<_>>());
        let answers = self.named(&mut connection, answers, keys).await?;
        answers.into_iter().map(|answer| self.read(answer)).collect()
    }

    /// Sends one command without a key to the server of `key`.
    pub(crate) async fn query_at<T: FromRedisValue>(&self, key: &str, command: &redis::Cmd) -> Result<T, QueueError> {
        let mut connection = self.connection().await?;
        let answer = connection.send_to(key, command).await.map_err(|error| self.failed(&error))?;
        self.read(answer)
    }

    /// Sends one command without a key to every server that takes writes.
    pub(crate) async fn query_all<T: FromRedisValue>(&self, command: &redis::Cmd) -> Result<Vec<T>, QueueError> {
        let mut connection = self.connection().await?;
        let answers = connection.ask_all(command).await.map_err(|error| self.failed(&error))?;
        answers.into_iter().map(|answer| self.read(answer)).collect()
    }

    /// Runs one script on the keys of a partition.
    ///
    /// While a node of a cluster is unavailable, the driver searches for it repeatedly, and delays everything else on
    /// its connection. So the partitions that answer have a connection of their own. A partition that fails uses the
    /// other connection until it answers.
    pub(crate) async fn run_at<T: FromRedisValue>(
        &self,
        partition: Partition,
        script: &ScriptInvocation<'_>,
    ) -> Result<T, QueueError> {
        let keys = || self.inner.compared.as_ref().map(|keys| keys.all_of(partition)).unwrap_or_default();
        if !self.is_cluster() {
            return self.run_on(script, keys).await;
        }
        let was_away = lock(&self.inner.away).contains(&partition);
        let outcome = if was_away { self.run_on(script, keys).await } else { self.run_aside(script, keys).await };
        match &outcome {
            Err(error) if error.is_passing() => drop(lock(&self.inner.away).insert(partition)),
            _ if was_away => {
                let mut away = lock(&self.inner.away);
                away.remove(&partition);
                if away.is_empty() {
                    // The driver's view of the nodes may be old.
                    lock(&self.inner.aside).take();
                }
            }
            _ => {}
        }
        outcome
    }

    async fn run_aside<T: FromRedisValue>(
        &self,
        script: &ScriptInvocation<'_>,
        keys: impl FnOnce() -> Vec<String>,
    ) -> Result<T, QueueError> {
        let held = lock(&self.inner.aside).clone();
        let mut link = if let Some(link) = held {
            link
        } else {
            let link = self.connect().await?;
            lock(&self.inner.aside).get_or_insert(link).clone()
        };
        let answer = script.invoke_async(&mut link).await.map_err(|error| QueueError::at(self.place(), &error));
        self.named(&mut link, answer, keys).await
    }

    /// Runs one script on a key of the queue as a whole.
    pub(crate) async fn run<T: FromRedisValue>(
        &self,
        key: &str,
        script: &ScriptInvocation<'_>,
    ) -> Result<T, QueueError> {
        self.run_on(script, || vec![key.to_owned()]).await
    }

    async fn run_on<T: FromRedisValue>(
        &self,
        script: &ScriptInvocation<'_>,
        keys: impl FnOnce() -> Vec<String>,
    ) -> Result<T, QueueError> {
        let mut connection = self.connection().await?;
        let answer = script.invoke_async(&mut connection).await.map_err(|error| self.failed(&error));
        self.named(&mut connection, answer, keys).await
    }

    /// Returns our keys that commands name.
    fn keys_in(&self, commands: &[&redis::Cmd]) -> Vec<String> {
        let Some(ours) = &self.inner.compared else { return Vec::new() };
        let words = commands.iter().flat_map(|command| command.args_iter()).filter_map(|word| match word {
            redis::Arg::Simple(word) => std::str::from_utf8(word).ok(),
            _ => None,
        });
        let keys: BTreeSet<_> = words.filter(|word| ours.type_of(word).is_some()).collect();
        keys.into_iter().map(str::to_owned).collect()
    }

    /// Adds the name of the key to an error about a key's type. Every answer goes through here.
    ///
    /// Redis itself does not name the key, so it is asked for the type of each of `keys`.
    async fn named<T>(
        &self,
        link: &mut Link,
        answer: Result<T, QueueError>,
        keys: impl FnOnce() -> Vec<String>,
    ) -> Result<T, QueueError> {
        let Err(QueueError::WrongType(said)) = answer else { return answer };
        let misfit = self.misfit(link, &keys()).await;
        Err(QueueError::WrongType(misfit.map_or(said, |misfit| format!("{}: {misfit}", self.place()))))
    }

    /// Returns the first key of a wrong type, and the remedy.
    async fn misfit(&self, link: &mut Link, keys: &[String]) -> Option<String> {
        let ours = self.inner.compared.as_ref()?;
        for some in keys.chunks(TYPES_BATCH_SIZE) {
            let ask = some.iter().map(|key| redis::cmd("TYPE").arg(key).clone()).collect::<Vec<_>>();
            let found = link.send_each(&ask).await.ok()?;
            for (key, found) in some.iter().zip(found) {
                let (found, expected): (String, _) = (from_redis_value(found).ok()?, ours.type_of(key)?);
                if found != expected && found != "none" {
                    let problem = format!(
                        "is a {found} and has to be a {expected}: put it aside (RENAME {key} {key}:aside), or remove \
                         it; PiSync makes it anew"
                    );
                    unreadable::leave_out("redis", key, "type", &problem);
                    return Some(format!("the key {key} {problem}"));
                }
            }
        }
        None
    }

    /// Returns a separate connection, for listening to a channel.
    pub(crate) async fn subscribe(&self, channel: &str) -> Result<redis::aio::PubSub, QueueError> {
        self.inner.source.subscribe(channel).await
    }

    async fn connection(&self) -> Result<Link, QueueError> {
        if let Some(held) = &*self.held() {
            return Ok(held.link.clone());
        }
        let link = self.connect().await?;
        Ok(self.held().get_or_insert(OpenLink { link, since: Instant::now() }).link.clone())
    }

    async fn connect(&self) -> Result<Link, QueueError> {
        let mut link = self.inner.source.connect().await?;
        let passing = self.examine(&mut link).await.and(self.check_partitions(&mut link).await);
        match passing {
            // The number was confirmed once: from then on each partition compares it.
            Err(QueueError::WrongType(_)) if self.inner.was_compared.load(Relaxed) => {}
            // A node of the cluster is unavailable: the others serve their partitions.
            Err(error) if error.is_passing() && self.is_cluster() && self.inner.was_compared.load(Relaxed) => {}
            // Each command reports its own refusal; the missing rights can be checked.
            Err(QueueError::Denied(_)) => {}
            other => other?,
        }
        Ok(link)
    }

    /// Checks the number of partitions. The first process sets it; any other number would lose devices.
    ///
    /// It is read first, and written only if it is missing: a full Redis refuses the write, and its workers must still
    /// be able to connect.
    async fn check_partitions(&self, connection: &mut Link) -> Result<(), QueueError> {
        let Some(keys) = &self.inner.compared else { return Ok(()) };
        let (key, ours) = (keys.shared("partitions"), keys.count());
        let asked = self.ask_partitions(connection, &key, ours).await.map_err(|error| self.failed(&error));
        let theirs = self.named(connection, asked, || vec![key.clone()]).await?;
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

    async fn ask_partitions(&self, link: &mut Link, key: &str, ours: u16) -> Result<Option<u16>, RedisError> {
        let theirs: Option<u16> = redis::cmd("GET").arg(key).query_async(link).await?;
        if theirs.is_some() {
            return Ok(theirs);
        }
        // Another process may be first; then nothing is set, and its number is read.
        redis::cmd("SET").arg(key).arg(ours).arg("NX").query_async::<Option<String>>(link).await?;
        redis::cmd("GET").arg(key).query_async(link).await
    }

    /// Checks whether the servers persist their writes, and remembers the result for the pushes. The configuration may
    /// change while the process runs, in either direction.
    async fn examine(&self, connection: &mut Link) -> Result<(), QueueError> {
        let servers = durability::ask(connection).await.map_err(|error| self.failed(&error))?;
        let (mut why, mut keeps_on_disk) = (None, true);
        for server in &servers {
            if server.is_cluster_node == Some(true) && !self.is_cluster() {
                return Err(QueueError::Misconfigured(format!(
                    "{}: the server is a node of a cluster: write redis+cluster:// in place of redis://",
                    self.place()
                )));
            }
            if !self.inner.allow_eviction
                && let EvictionSafety::Unsafe(reason) = server.policy(self.user())
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

    /// Records a failure: a failed connection is not used again. A connection to a cluster still serves other
    /// partitions. It is replaced beside that, and only from time to time.
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

    fn held(&self) -> MutexGuard<'_, Option<OpenLink>> {
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
