//! The way to Redis: what a URL means, and a connection to it.

use std::time::Duration;

use deadpool_redis::{
    Manager, Pool, PoolConfig, Runtime, Timeouts,
    redis::{
        self, AsyncConnectionConfig, Cmd, ConnectionInfo, Pipeline, RedisError, RedisFuture, Value,
        aio::{ConnectionLike, MultiplexedConnection, PubSub},
        cluster::ClusterClient,
        cluster_async::ClusterConnection,
        cluster_routing::{MultipleNodeRoutingInfo, Route, RoutingInfo, SingleNodeRoutingInfo, Slot, SlotAddr},
        sentinel::{SentinelClient, SentinelServerType},
    },
};
use tokio::sync::Mutex;

use super::QueueError;
use crate::redis_url::{RedisUrl, tcp};

/// How long a new connection to one server may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);

/// How long it may take where several servers are asked one after the other.
const SEARCH_TIMEOUT: Duration = Duration::from_secs(3);

/// Where connections come from.
pub(super) enum Source {
    /// One server.
    Server { pool: Box<Pool>, client: Box<redis::Client> },
    /// A cluster, and the nodes that the settings name.
    Cluster { client: Box<ClusterClient>, nodes: Vec<ConnectionInfo> },
    /// Sentinels that say which server is the master.
    Sentinels { client: Box<Mutex<SentinelClient>>, config: Box<AsyncConnectionConfig> },
}

/// A connection, multiplexed by the driver: callers do not wait for each other.
#[derive(Clone)]
pub(super) enum Link {
    /// To one server.
    Server(MultiplexedConnection),
    /// To all nodes of a cluster.
    Cluster(ClusterConnection),
}

impl Source {
    /// What a URL means; nothing is connected yet.
    pub(super) fn new(url: RedisUrl, response_timeout: Duration) -> Result<Self, QueueError> {
        let malformed = |error: RedisError| QueueError::Misconfigured(error.to_string());
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(CONNECT_TIMEOUT))
            .set_response_timeout(Some(response_timeout));
        Ok(match url {
            RedisUrl::Server(info) => {
                let pool = pool(*info.clone(), config)?;
                Self::Server { pool: Box::new(pool), client: Box::new(redis::Client::open(*info).map_err(malformed)?) }
            }
            RedisUrl::Cluster(nodes) => {
                let client = ClusterClient::builder(nodes.clone())
                    .connection_timeout(CONNECT_TIMEOUT)
                    .response_timeout(response_timeout)
                    .tcp_settings(tcp());
                Self::Cluster { client: Box::new(client.build().map_err(malformed)?), nodes }
            }
            RedisUrl::Sentinels { sentinels, master, servers } => {
                let client = SentinelClient::build(sentinels, master, Some(*servers), SentinelServerType::Master);
                let client = Box::new(Mutex::new(client.map_err(malformed)?));
                Self::Sentinels { client, config: Box::new(config) }
            }
        })
    }

    /// A new connection.
    pub(super) async fn connect(&self) -> Result<Link, QueueError> {
        match self {
            Self::Server { pool, .. } => Ok(Link::Server(deadpool_redis::Connection::take(pool.get().await?))),
            Self::Cluster { client, .. } => Ok(Link::Cluster(in_time(client.get_async_connection()).await?)),
            Self::Sentinels { client, config } => {
                let connect = async { client.lock().await.get_async_connection_with_config(config).await };
                Ok(Link::Server(in_time(connect).await?))
            }
        }
    }

    /// A connection of its own, for listening to a channel. In a cluster every node hears of what
    /// is published at any other.
    pub(super) async fn subscribe(&self, channel: &str) -> Result<PubSub, QueueError> {
        in_time(async {
            let client = match self {
                Self::Server { client, .. } => *client.clone(),
                Self::Sentinels { client, .. } => client.lock().await.async_get_client().await?,
                Self::Cluster { nodes, .. } => return listen_to_one_of(nodes, channel).await,
            };
            listen(&client, channel).await
        })
        .await
    }
}

/// One server's connections, made by a pool for its limits of time, and held outside of it: its
/// checkout has a PING, which costs a round trip each time.
fn pool(info: ConnectionInfo, config: AsyncConnectionConfig) -> Result<Pool, QueueError> {
    let manager = Manager::new_with_config(info, config);
    let manager = manager.map_err(|error| QueueError::Misconfigured(error.to_string()))?;
    let timeouts =
        Timeouts { wait: Some(CONNECT_TIMEOUT), create: Some(CONNECT_TIMEOUT), recycle: Some(CONNECT_TIMEOUT) };
    let pool = Pool::builder(manager)
        .config(PoolConfig { max_size: 4, timeouts, ..PoolConfig::default() })
        .runtime(Runtime::Tokio1);
    pool.build().map_err(|error| QueueError::Misconfigured(error.to_string()))
}

async fn in_time<T>(connect: impl Future<Output = Result<T, RedisError>>) -> Result<T, QueueError> {
    match tokio::time::timeout(SEARCH_TIMEOUT, connect).await {
        Ok(connected) => Ok(connected?),
        Err(_) => Err(QueueError::Unavailable("no connection in time".into())),
    }
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
    /// Sends commands, each of which has its keys in one slot: together where there is one server.
    pub(super) async fn send_each(&mut self, commands: &[Cmd]) -> Result<Vec<Value>, RedisError> {
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

    /// Sends a command that names no key to the node that has this one.
    pub(super) async fn send_to(&mut self, key: &str, command: &Cmd) -> Result<Value, RedisError> {
        match self {
            Self::Server(connection) => command.query_async(connection).await,
            Self::Cluster(connection) => {
                let route = Route::with_slot(Slot::for_key(key), SlotAddr::Master);
                let node = RoutingInfo::SingleNode(SingleNodeRoutingInfo::SpecificNode(route));
                connection.route_command(command.clone(), node).await
            }
        }
    }

    /// Asks every server that takes writes the same; answers with what each of them says.
    pub(super) async fn ask_all(&mut self, command: &Cmd) -> Result<Vec<Value>, RedisError> {
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

    /// Whether it mends itself when a server fails.
    pub(super) fn mends_itself(&self) -> bool {
        matches!(self, Self::Cluster(_))
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
