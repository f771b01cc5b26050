//! Connections to Redis, made from the parsed URL.

use std::{
    sync::atomic::{AtomicBool, Ordering::Relaxed},
    time::Duration,
};

use deadpool_redis::{
    Manager, Pool, PoolConfig, Runtime, Timeouts,
    redis::{
        self, AsyncConnectionConfig, Cmd, ConnectionAddr, ConnectionInfo, Pipeline, RedisConnectionInfo, RedisError,
        RedisFuture, TlsCertificates, TlsMode, Value,
        aio::{ConnectionLike, MultiplexedConnection, PubSub},
        cluster::ClusterClient,
        cluster_async::ClusterConnection,
        cluster_routing::{MultipleNodeRoutingInfo, Route, RoutingInfo, SingleNodeRoutingInfo, Slot, SlotAddr},
        sentinel::{SentinelClient, SentinelClientBuilder, SentinelServerType},
    },
};
use futures_util::future::join_all;
use tokio::sync::Mutex;

use super::{
    error::QueueError,
    speech::{self, Speech},
    url::{BadUrl, RedisUrl, Servers, tcp},
};
use crate::settings::CaFile;

/// The timeout of a new connection to one server.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);

/// The timeout if several servers are tried one after the other.
const SEARCH_TIMEOUT: Duration = Duration::from_secs(3);

/// The most servers that are tested for TLS.
const ASKED: usize = 3;

/// A source of connections.
pub(crate) struct LinkSource {
    servers: Way,
    /// The address of Redis and the setting that names it, for people.
    place: String,
    /// The servers that the settings name.
    addresses: Vec<(String, u16)>,
    is_tls: bool,
    /// Whether there was a connection once: then the settings match the servers.
    was_connected: AtomicBool,
}

enum Way {
    /// One server.
    Server { pool: Box<Pool>, client: Box<redis::Client> },
    /// A cluster, and the nodes in the settings.
    Cluster { client: Box<ClusterClient>, nodes: Vec<ConnectionInfo> },
    /// Sentinels, which name the master.
    Sentinels { client: Box<Mutex<SentinelClient>>, config: Box<AsyncConnectionConfig> },
}

/// A connection, multiplexed by the driver: callers do not wait for each other.
#[derive(Clone)]
pub(crate) enum Link {
    /// To one server.
    Server(MultiplexedConnection),
    /// To all nodes of a cluster.
    Cluster(ClusterConnection),
}

impl LinkSource {
    /// Returns the source of a URL; it does not connect yet. Only the certificates of `ca` are trusted, if it is given.
    ///
    /// Fails with the fault of the URL or of the certificates.
    pub(crate) fn new(url: RedisUrl, ca: Option<&CaFile>, response_timeout: Duration) -> Result<Self, BadUrl> {
        let malformed = |error: RedisError| BadUrl(error.to_string());
        if ca.is_some() && !url.is_tls {
            let why = "there is a CA file (--redis-ca-file, PISYNC_REDIS_CA_FILE) and no TLS: write rediss:// for TLS";
            return Err(BadUrl(why.into()));
        }
        let place = format!("{} (--redis-url, PISYNC_REDIS_URL)", url.place);
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(CONNECT_TIMEOUT))
            .set_response_timeout(Some(response_timeout));
        let (url, certificates) = match ca {
            Some(ca) => url.trust(ca.pem()).map(|(url, certificates)| (url, Some(certificates))).map_err(malformed)?,
            None => (url, None),
        };
        let (addresses, is_tls) = (url.addresses(), url.is_tls);
        let servers = match url.servers {
            Servers::One(info) => {
                let pool = Box::new(pool(*info.clone(), config)?);
                Way::Server { pool, client: Box::new(redis::Client::open(*info).map_err(malformed)?) }
            }
            Servers::Cluster(nodes) => {
                let mut client = ClusterClient::builder(nodes.clone())
                    .connection_timeout(CONNECT_TIMEOUT)
                    .response_timeout(response_timeout)
                    .tcp_settings(tcp());
                if let Some(certificates) = certificates {
                    client = client.certs(certificates);
                }
                Way::Cluster { client: Box::new(client.build().map_err(malformed)?), nodes }
            }
            Servers::Sentinels { sentinels, login, master, server } => {
                let client = sentinel_client(sentinels, &login, &master, &server, url.is_tls, certificates);
                let client = Box::new(Mutex::new(client.map_err(malformed)?));
                Way::Sentinels { client, config: Box::new(config) }
            }
        };
        Ok(Self { servers, place, addresses, is_tls, was_connected: AtomicBool::new(false) })
    }

    /// Returns the address of Redis and the setting that names it, for people.
    pub(crate) fn place(&self) -> &str {
        &self.place
    }

    /// Returns whether there are several servers that take writes.
    pub(crate) fn is_cluster(&self) -> bool {
        matches!(self.servers, Way::Cluster { .. })
    }

    /// Returns a new connection.
    ///
    /// Fails with [`QueueError::Misconfigured`] if the server speaks TLS and the settings do not, or the other way
    /// round.
    pub(crate) async fn connect(&self) -> Result<Link, QueueError> {
        match self.connect_as_set().await {
            Err(error @ QueueError::Unavailable(_)) if !self.was_connected.load(Relaxed) => {
                Err(self.other_speech().await.unwrap_or(error))
            }
            connected => connected.inspect(|_| self.was_connected.store(true, Relaxed)),
        }
    }

    /// Returns the error if a server and the settings disagree about TLS.
    async fn other_speech(&self) -> Option<QueueError> {
        let spoken = self.addresses.iter().take(ASKED).map(|(host, port)| speech::of(host, *port));
        let spoken = join_all(spoken).await.into_iter().flatten().next()?;
        let why = match (spoken, self.is_tls) {
            (Speech::Plain, true) => "the server does not speak TLS on this port: write redis in place of rediss",
            (Speech::Tls, false) => "the server speaks TLS on this port: write rediss in place of redis",
            _ => return None,
        };
        Some(QueueError::Misconfigured(format!("{}: {why}", self.place)))
    }

    async fn connect_as_set(&self) -> Result<Link, QueueError> {
        match &self.servers {
            Way::Server { pool, .. } => {
                let connection = pool.get().await.map_err(|error| QueueError::at_pool(&self.place, &error))?;
                Ok(Link::Server(deadpool_redis::Connection::take(connection)))
            }
            Way::Cluster { client, .. } => Ok(Link::Cluster(self.in_time(client.get_async_connection()).await?)),
            Way::Sentinels { client, config } => {
                let connect = async { client.lock().await.get_async_connection_with_config(config).await };
                Ok(Link::Server(self.in_time(connect).await?))
            }
        }
    }

    /// Returns a separate connection, for listening to a channel. In a cluster every node receives the messages
    /// published at any other.
    pub(crate) async fn subscribe(&self, channel: &str) -> Result<PubSub, QueueError> {
        self.in_time(async {
            let client = match &self.servers {
                Way::Server { client, .. } => *client.clone(),
                Way::Sentinels { client, .. } => client.lock().await.async_get_client().await?,
                Way::Cluster { nodes, .. } => return listen_to_one_of(nodes, channel).await,
            };
            listen(&client, channel).await
        })
        .await
    }

    async fn in_time<T>(&self, connect: impl Future<Output = Result<T, RedisError>>) -> Result<T, QueueError> {
        match tokio::time::timeout(SEARCH_TIMEOUT, connect).await {
            Ok(connected) => connected.map_err(|error| QueueError::at(&self.place, &error)),
            Err(_) => Err(QueueError::Unavailable(format!("{}: no connection in time", self.place))),
        }
    }
}

/// Returns a client of the sentinels, with the trusted certificates if they are not the default ones.
fn sentinel_client(
    sentinels: Vec<ConnectionAddr>,
    login: &RedisConnectionInfo,
    master: &str,
    server: &RedisConnectionInfo,
    is_tls: bool,
    certificates: Option<TlsCertificates>,
) -> Result<SentinelClient, RedisError> {
    let mut client = SentinelClientBuilder::new(sentinels, master, SentinelServerType::Master)?
        .set_client_to_redis_db(server.db())
        .set_client_to_redis_tcp_settings(tcp())
        .set_client_to_sentinel_tcp_settings(tcp());
    if let Some(user) = server.username() {
        client = client.set_client_to_redis_username(user);
    }
    if let Some(password) = server.password() {
        client = client.set_client_to_redis_password(password);
    }
    if let Some(user) = login.username() {
        client = client.set_client_to_sentinel_username(user);
    }
    if let Some(password) = login.password() {
        client = client.set_client_to_sentinel_password(password);
    }
    if is_tls {
        client = client.set_client_to_redis_tls_mode(TlsMode::Secure);
    }
    if let Some(certificates) = certificates {
        client = client.set_client_to_sentinel_certificates(certificates.clone());
        client = client.set_client_to_redis_certificates(certificates);
    }
    client.build()
}

/// Returns a pool for one server. The pool makes connections for its timeouts, and they are held outside of it: its
/// checkout has a PING, which costs a round trip each time.
fn pool(info: ConnectionInfo, config: AsyncConnectionConfig) -> Result<Pool, BadUrl> {
    let manager = Manager::new_with_config(info, config).map_err(|error| BadUrl(error.to_string()))?;
    let timeouts =
        Timeouts { wait: Some(CONNECT_TIMEOUT), create: Some(CONNECT_TIMEOUT), recycle: Some(CONNECT_TIMEOUT) };
    let pool = Pool::builder(manager)
        .config(PoolConfig { max_size: 4, timeouts, ..PoolConfig::default() })
        .runtime(Runtime::Tokio1);
    pool.build().map_err(|error| BadUrl(error.to_string()))
}

async fn listen_to_one_of(nodes: &[ConnectionInfo], channel: &str) -> Result<PubSub, RedisError> {
    let first = fastrand::usize(..nodes.len());
    let (after, before) = nodes.split_at(first);
    let mut failed = None;
    for node in before.iter().chain(after) {
        let listener = async { listen(&redis::Client::open(node.clone())?, channel).await };
        match tokio::time::timeout(CONNECT_TIMEOUT, listener).await {
            Ok(Ok(listener)) => return Ok(listener),
            Ok(Err(error)) => failed = Some(error),
            Err(_) => {}
        }
    }
    Err(failed.unwrap_or_else(|| RedisError::from((redis::ErrorKind::Io, "no node of the cluster answers"))))
}

async fn listen(client: &redis::Client, channel: &str) -> Result<PubSub, RedisError> {
    let mut listener = client.get_async_pubsub().await?;
    listener.subscribe(channel).await?;
    Ok(listener)
}

impl Link {
    /// Sends commands, each of which has its keys in one slot: together if there is one server.
    pub(crate) async fn send_each(&mut self, commands: &[Cmd]) -> Result<Vec<Value>, RedisError> {
        match self {
            Self::Server(connection) => {
                let mut pipeline = redis::pipe();
                for command in commands {
                    pipeline.add_command(command.clone());
                }
                pipeline.query_async(connection).await
            }
            Self::Cluster(connection) => {
                let send = |command: &Cmd| {
                    let (mut connection, command) = (connection.clone(), command.clone());
                    async move { command.query_async(&mut connection).await }
                };
                futures_util::future::try_join_all(commands.iter().map(send)).await
            }
        }
    }

    /// Sends a command without a key to the node of `key`.
    pub(crate) async fn send_to(&mut self, key: &str, command: &Cmd) -> Result<Value, RedisError> {
        match self {
            Self::Server(connection) => command.query_async(connection).await,
            Self::Cluster(connection) => {
                let route = Route::with_slot(Slot::for_key(key), SlotAddr::Master);
                let node = RoutingInfo::SingleNode(SingleNodeRoutingInfo::SpecificNode(route));
                connection.route_command(command.clone(), node).await
            }
        }
    }

    /// Sends a command to every server that takes writes; returns the answer of each.
    pub(crate) async fn ask_all(&mut self, command: &Cmd) -> Result<Vec<Value>, RedisError> {
        match self {
            Self::Server(connection) => Ok(vec![command.query_async(connection).await?]),
            Self::Cluster(connection) => {
                let masters = RoutingInfo::MultiNode((MultipleNodeRoutingInfo::AllMasters, None));
                match connection.route_command(command.clone(), masters).await? {
                    Value::Map(answers) => Ok(answers.into_iter().map(|(_, answer)| answer).collect()),
                    other => Ok(vec![other]),
                }
            }
        }
    }
}

impl ConnectionLike for Link {
    fn req_packed_command<'a>(&'a mut self, cmd: &'a Cmd) -> RedisFuture<'a, Value> {
        match self {
            Self::Server(connection) => connection.req_packed_command(cmd),
            Self::Cluster(connection) => connection.req_packed_command(cmd),
        }
    }

    fn req_packed_commands<'a>(
        &'a mut self,
        cmd: &'a Pipeline,
        offset: usize,
        count: usize,
    ) -> RedisFuture<'a, Vec<Value>> {
        match self {
            Self::Server(connection) => connection.req_packed_commands(cmd, offset, count),
            Self::Cluster(connection) => connection.req_packed_commands(cmd, offset, count),
        }
    }

    fn get_db(&self) -> i64 {
        match self {
            Self::Server(connection) => connection.get_db(),
            Self::Cluster(connection) => connection.get_db(),
        }
    }
}
