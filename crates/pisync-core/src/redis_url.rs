//! The forms of a Redis URL: one server, a cluster, or servers that sentinels watch over.
//!
//! | form | what |
//! | --- | --- |
//! | `redis://[USER:PASSWORD@]HOST[:PORT][/DB]` | one server |
//! | `redis+cluster://[USER:PASSWORD@]HOST:PORT,HOST:PORT…` | a cluster, by some of its nodes |
//! | `redis+sentinel://[USER:PASSWORD@]HOST[:PORT],HOST[:PORT]…/MASTER[/DB]` | what sentinels say is the master |
//!
//! Each also with `rediss`, which is TLS. User and password are those of the servers; sentinels
//! are asked without.

use deadpool_redis::redis::{
    ConnectionAddr, ConnectionInfo, IntoConnectionInfo, RedisError, TlsMode, io::tcp::TcpSettings,
    sentinel::SentinelNodeConnectionInfo,
};

/// Where Redis is.
#[derive(Debug, Clone)]
pub(crate) enum RedisUrl {
    /// One server.
    Server(Box<ConnectionInfo>),
    /// Some nodes of a cluster.
    Cluster(Vec<ConnectionInfo>),
    /// Sentinels.
    Sentinels {
        /// Where they are.
        sentinels: Vec<ConnectionInfo>,
        /// The name under which they know the master.
        master: String,
        /// How to talk to it.
        servers: Box<SentinelNodeConnectionInfo>,
    },
}

/// The port of sentinels where none is named.
const SENTINEL_PORT: u16 = 26_379;

/// Why a URL is none of these. It does not repeat the URL, which may hold a password.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BadUrl {
    #[error("it has none of the known forms")]
    Form,
    #[error(transparent)]
    Driver(#[from] RedisError),
}

impl RedisUrl {
    /// Reads a URL.
    pub(crate) fn parse(url: &str) -> Result<Self, BadUrl> {
        let (scheme, rest) = url.split_once("://").ok_or(BadUrl::Form)?;
        let Some((scheme, kind)) = scheme.split_once('+') else {
            return Ok(Self::Server(Box::new(info(url)?)));
        };
        let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
        let (user, hosts) = authority.rsplit_once('@').map_or(("", authority), |(user, hosts)| (user, hosts));
        let user = if user.is_empty() { String::new() } else { format!("{user}@") };
        let hosts = hosts.split(',');
        match (kind, path) {
            ("cluster", "") => {
                let nodes: Result<Vec<_>, _> = hosts.map(|host| info(&format!("{scheme}://{user}{host}"))).collect();
                Ok(Self::Cluster(nodes?))
            }
            ("sentinel", path) if !path.is_empty() => {
                let (master, database) = path.split_once('/').unwrap_or((path, "0"));
                let sentinels: Result<Vec<_>, _> = hosts.map(|host| info(&sentinel(scheme, host))).collect();
                // What all servers have in common; the host is what the sentinels say.
                let server = info(&format!("{scheme}://{user}localhost/{database}"))?;
                let servers = SentinelNodeConnectionInfo::default()
                    .set_redis_connection_info(server.redis_settings().clone())
                    .set_tcp_settings(tcp());
                let servers = match server.addr() {
                    ConnectionAddr::TcpTls { .. } => servers.set_tls_mode(TlsMode::Secure),
                    _ => servers,
                };
                Ok(Self::Sentinels { sentinels: sentinels?, master: master.to_owned(), servers: Box::new(servers) })
            }
            _ => Err(BadUrl::Form),
        }
    }
}

fn sentinel(scheme: &str, host: &str) -> String {
    // An IPv6 address has colons of its own, in brackets.
    let has_port = host.rsplit(']').next().is_some_and(|tail| tail.contains(':'));
    if has_port { format!("{scheme}://{host}") } else { format!("{scheme}://{host}:{SENTINEL_PORT}") }
}

/// The driver's form of one server, with Nagle's algorithm off.
fn info(url: &str) -> Result<ConnectionInfo, RedisError> {
    Ok(url.into_connection_info()?.set_tcp_settings(tcp()))
}

/// The settings of every connection.
pub(crate) fn tcp() -> TcpSettings {
    TcpSettings::default().set_nodelay(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hosts(of: &[ConnectionInfo]) -> Vec<String> {
        of.iter().map(|info| info.addr().to_string()).collect()
    }

    #[test]
    fn each_form_names_its_servers() {
        let RedisUrl::Server(server) = RedisUrl::parse("rediss://:secret@cache/1").unwrap() else { panic!() };
        assert_eq!((server.addr().to_string().as_str(), server.redis_settings().db()), ("cache:6379", 1));
        let url = "redis+cluster://someone:secret@a:7000,b:7001,[::1]:7002";
        let RedisUrl::Cluster(nodes) = RedisUrl::parse(url).unwrap() else { panic!() };
        assert_eq!(hosts(&nodes), ["a:7000", "b:7001", "::1:7002"]);
        assert!(nodes.iter().all(|node| node.redis_settings().password() == Some("secret")));
        assert!(nodes.iter().all(|node| node.tcp_settings().nodelay()));
        let url = "redis+sentinel://:secret@a,b:7001,[::1]/events/2";
        let RedisUrl::Sentinels { sentinels, master, .. } = RedisUrl::parse(url).unwrap() else { panic!() };
        assert_eq!(
            (hosts(&sentinels), master.as_str()),
            (vec!["a:26379".into(), "b:7001".into(), "::1:26379".into()], "events")
        );
        assert!(sentinels.iter().all(|sentinel| sentinel.redis_settings().password().is_none()));
    }

    #[test]
    fn what_has_none_of_the_forms_is_refused_and_not_repeated() {
        for url in [
            "a:7000",
            "http://a:secret@b",
            "http+cluster://a",
            "redis+cluster://a:7000,b:secret",
            "redis+cluster://a:7000/1",
            "redis+sentinel://a:7000",
            "redis+sentinel://a:7000/events/secret",
            "redis+ring://a:7000",
        ] {
            let error = RedisUrl::parse(url).unwrap_err().to_string();
            assert!(!error.contains("secret"), "{url}: {error}");
        }
    }
}
