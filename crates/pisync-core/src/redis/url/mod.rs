//! The forms of a Redis URL: one server, a cluster, or servers that sentinels watch over.
//!
//! | form | server |
//! | --- | --- |
//! | `redis://[[USER]:PASSWORD@]HOST[:PORT][/DB]` | one server |
//! | `unix:///PATH[?db=DB&user=USER&pass=PASSWORD]` | one server, by its socket; also `redis+unix` |
//! | `redis+cluster://[[USER]:PASSWORD@]HOST[:PORT],HOST[:PORT]…` | a cluster, by some of its nodes |
//! | `redis+sentinel://[[USER]:PASSWORD@]HOST[:PORT],HOST[:PORT]…/MASTER[/DB]` | the master that sentinels name |
//!
//! Each but the socket also with `rediss`, for TLS; `valkey` and `valkeys` are synonyms. User and password are those of
//! the servers. Those of the sentinels are in the query as `sentinel_username` and `sentinel_password`. The database
//! may be in the query as `db`.

use std::path::PathBuf;

use deadpool_redis::redis::{
    ConnectionAddr, ConnectionInfo, IntoConnectionInfo, RedisConnectionInfo, RedisError, TlsCertificates,
    io::tcp::TcpSettings,
};

mod parts;

use self::parts::{Host, Parts};

/// The parsed address of Redis.
#[derive(Debug, Clone)]
pub(crate) struct RedisUrl {
    /// One server, or several.
    pub(crate) servers: Servers,
    /// Whether the connections are encrypted.
    pub(crate) is_tls: bool,
    /// The hosts and ports, for people: it holds no secret.
    pub(crate) place: String,
    /// The user name sent to the servers; `default` if none is named.
    pub(crate) user: String,
}

/// One server, or several.
#[derive(Debug, Clone)]
pub(crate) enum Servers {
    /// One server.
    One(Box<ConnectionInfo>),
    /// Some nodes of a cluster.
    Cluster(Vec<ConnectionInfo>),
    /// Sentinels.
    Sentinels {
        /// Their addresses.
        sentinels: Vec<ConnectionAddr>,
        /// The login to the sentinels.
        login: Box<RedisConnectionInfo>,
        /// The name of the master in the sentinels.
        master: String,
        /// The login to the master.
        server: Box<RedisConnectionInfo>,
    },
}

/// The default port of a server.
const PORT: u16 = 6_379;

/// The default port of sentinels.
const SENTINEL_PORT: u16 = 26_379;

/// The reason that a URL is invalid, and the remedy. It does not repeat the URL, which may hold a password.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("{0}")]
pub(crate) struct BadUrl(pub(crate) String);

impl RedisUrl {
    /// Parses a URL.
    pub(crate) fn parse(url: &str) -> Result<Self, BadUrl> {
        let mut parts = Parts::split(url.trim())?;
        let user = parts.user.clone().unwrap_or_else(|| "default".into());
        let (servers, place) = match parts.kind {
            parts::Kind::Socket => one_socket(&mut parts)?,
            parts::Kind::Server => one_server(&mut parts)?,
            parts::Kind::Cluster => cluster(&mut parts)?,
            parts::Kind::Sentinels => sentinels(&mut parts)?,
        };
        parts.nothing_left()?;
        Ok(Self { servers, is_tls: parts.is_tls, place, user })
    }

    /// Returns its hosts and ports; none for a socket.
    pub(crate) fn addresses(&self) -> Vec<(String, u16)> {
        let of = |address: &ConnectionAddr| match address {
            ConnectionAddr::Tcp(host, port) | ConnectionAddr::TcpTls { host, port, .. } => Some((host.clone(), *port)),
            _ => None,
        };
        match &self.servers {
            Servers::One(info) => of(info.addr()).into_iter().collect(),
            Servers::Cluster(nodes) => nodes.iter().filter_map(|node| of(node.addr())).collect(),
            Servers::Sentinels { sentinels, .. } => sentinels.iter().filter_map(of).collect(),
        }
    }

    /// Trusts only the certificates in `pem`.
    ///
    /// Fails if the text holds none that can be read.
    pub(crate) fn trust(mut self, pem: &[u8]) -> Result<(Self, TlsCertificates), RedisError> {
        let certificates = TlsCertificates { client_tls: None, root_cert: Some(pem.to_vec()) };
        let trusting = |info: ConnectionInfo| {
            let client = deadpool_redis::redis::Client::build_with_tls(info, certificates.clone())?;
            Ok::<_, RedisError>(client.get_connection_info().clone())
        };
        self.servers = match self.servers {
            Servers::One(info) => Servers::One(Box::new(trusting(*info)?)),
            Servers::Cluster(nodes) => Servers::Cluster(nodes.into_iter().map(trusting).collect::<Result<_, _>>()?),
            sentinels @ Servers::Sentinels { .. } => sentinels,
        };
        Ok((self, certificates))
    }
}

fn one_socket(parts: &mut Parts) -> Result<(Servers, String), BadUrl> {
    let path = parts.socket()?;
    let info = info(ConnectionAddr::Unix(PathBuf::from(&path)), parts.login(None)?)?;
    Ok((Servers::One(Box::new(info)), path))
}

fn one_server(parts: &mut Parts) -> Result<(Servers, String), BadUrl> {
    let database = parts.take_path();
    let [host] = &parts.hosts(PORT)?[..] else {
        return Err(bad("it names several hosts: write redis+cluster:// or redis+sentinel:// for these"));
    };
    let info = info(host.address(parts.is_tls), parts.login(database.as_deref())?)?;
    Ok((Servers::One(Box::new(info)), host.to_string()))
}

fn cluster(parts: &mut Parts) -> Result<(Servers, String), BadUrl> {
    let hosts = parts.hosts(PORT)?;
    let database = parts.take_path();
    let login = parts.login(database.as_deref())?;
    if login.db() != 0 {
        return Err(bad("a cluster has the database 0 alone: leave the number out"));
    }
    let nodes: Result<_, _> = hosts.iter().map(|host| info(host.address(parts.is_tls), login.clone())).collect();
    Ok((Servers::Cluster(nodes?), names(&hosts)))
}

fn sentinels(parts: &mut Parts) -> Result<(Servers, String), BadUrl> {
    let path = parts.take_path();
    let hosts = parts.hosts(SENTINEL_PORT)?;
    let Some(path) = path else {
        return Err(bad("it names no master: write redis+sentinel://HOST[:PORT],HOST[:PORT].../MASTER"));
    };
    let (master, database) = path.split_once('/').map_or((path.as_str(), None), |(master, db)| (master, Some(db)));
    let (server, login) = (parts.login(database)?, parts.sentinel_login()?);
    let place = format!("{master} of the sentinels {}", names(&hosts));
    let sentinels = hosts.iter().map(|host| host.address(parts.is_tls)).collect();
    let master = master.to_owned();
    Ok((Servers::Sentinels { sentinels, login: Box::new(login), master, server: Box::new(server) }, place))
}

/// Returns the driver's form of one server, with Nagle's algorithm off.
fn info(address: ConnectionAddr, login: RedisConnectionInfo) -> Result<ConnectionInfo, BadUrl> {
    let info = address.into_connection_info().map_err(|_| bad("its host cannot be used"))?;
    Ok(info.set_redis_settings(login).set_tcp_settings(tcp()))
}

fn names(hosts: &[Host]) -> String {
    hosts.iter().map(ToString::to_string).collect::<Vec<_>>().join(",")
}

/// Returns the settings of every connection.
pub(crate) fn tcp() -> TcpSettings {
    TcpSettings::default().set_nodelay(true)
}

fn bad(why: impl Into<String>) -> BadUrl {
    BadUrl(why.into())
}

#[cfg(test)]
mod tests;
