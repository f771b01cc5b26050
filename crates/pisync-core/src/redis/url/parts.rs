//! The parts of a Redis URL. Each has to be used: an unused part is refused by name.

use std::{collections::BTreeMap, fmt};

use deadpool_redis::redis::{ConnectionAddr, RedisConnectionInfo};
use percent_encoding::percent_decode_str;

use super::{BadUrl, bad};

/// The kind of server that a scheme names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Server,
    Socket,
    Cluster,
    Sentinels,
}

/// The raw parts of a URL.
#[derive(Debug)]
pub(super) struct Parts {
    pub(super) kind: Kind,
    pub(super) is_tls: bool,
    pub(super) user: Option<String>,
    password: Option<String>,
    hosts: String,
    path: String,
    query: BTreeMap<String, String>,
}

/// A host and its port.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Host {
    /// Without the brackets of an IPv6 address.
    name: String,
    port: u16,
}

impl Parts {
    pub(super) fn split(url: &str) -> Result<Self, BadUrl> {
        let Some((scheme, rest)) = url.split_once("://") else {
            return Err(bad("it has no scheme: write redis://HOST[:PORT]"));
        };
        let (kind, is_tls) = kind(&scheme.to_ascii_lowercase())?;
        let (rest, fragment) = rest.split_once('#').map_or((rest, None), |(rest, fragment)| (rest, Some(fragment)));
        let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
        let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
        if [Some(path), Some(query), fragment].into_iter().flatten().any(|part| part.contains('@')) {
            return Err(bad("a / ? or # in the user or the password is written %2F, %3F or %23"));
        }
        if let Some(fragment) = fragment {
            return Err(bad(if fragment == "insecure" {
                "#insecure is not supported: name the CA of the server by --redis-ca-file (PISYNC_REDIS_CA_FILE)"
            } else {
                "it has a #, which a Redis URL cannot have: in a password it is written %23"
            }));
        }
        let (login, hosts) = authority.rsplit_once('@').map_or((None, authority), |(user, hosts)| (Some(user), hosts));
        let (user, password) = match login {
            Some(login) => login_of(login)?,
            None => (None, None),
        };
        // A socket's path is absolute.
        let path = if kind == Kind::Socket { format!("/{path}") } else { path.trim_end_matches('/').to_owned() };
        let query = query.split('&').filter(|pair| !pair.is_empty()).map(pair_of).collect::<Result<_, _>>()?;
        Ok(Self { kind, is_tls, user, password, hosts: hosts.to_owned(), path, query })
    }

    /// Returns the path after the hosts, once; none if it is empty.
    pub(super) fn take_path(&mut self) -> Option<String> {
        Some(std::mem::take(&mut self.path)).filter(|path| !path.is_empty())
    }

    /// Returns the path of a socket.
    pub(super) fn socket(&mut self) -> Result<String, BadUrl> {
        if !self.hosts.is_empty() || self.path == "/" {
            return Err(bad("a socket is written with its whole path: unix:///run/redis.sock"));
        }
        decoded(&std::mem::take(&mut self.path))
    }

    pub(super) fn hosts(&self, port: u16) -> Result<Vec<Host>, BadUrl> {
        self.hosts.split(',').map(|host| Host::read(host.trim(), port)).collect()
    }

    /// Returns user, password and database of the servers.
    pub(super) fn login(&mut self, database: Option<&str>) -> Result<RedisConnectionInfo, BadUrl> {
        let database = match (database, self.query.remove("db")) {
            (Some(one), Some(other)) if one != other => {
                return Err(bad("it names two databases, in the path and as db="));
            }
            (one, other) => one.map(ToOwned::to_owned).or(other),
        };
        let database = database.map(|number| number.parse::<u16>()).transpose();
        let database = database.map_err(|_| bad("its database is not a number"))?.unwrap_or_default();
        let user = self.one_of(self.user.clone(), ["user", "username"], "user")?;
        let password = self.one_of(self.password.clone(), ["pass", "password"], "password")?;
        Ok(login(user, password)?.set_db(database.into()))
    }

    /// Returns user and password of the sentinels themselves.
    pub(super) fn sentinel_login(&mut self) -> Result<RedisConnectionInfo, BadUrl> {
        login(self.query.remove("sentinel_username"), self.query.remove("sentinel_password"))
    }

    fn one_of(&mut self, given: Option<String>, names: [&str; 2], what: &str) -> Result<Option<String>, BadUrl> {
        let mut found: Vec<_> =
            given.into_iter().chain(names.iter().filter_map(|name| self.query.remove(*name))).collect();
        if found.len() > 1 {
            return Err(bad(format!("it names the {what} more than once")));
        }
        Ok(found.pop())
    }

    /// Fails if a part was not used.
    pub(super) fn nothing_left(&self) -> Result<(), BadUrl> {
        let Some(name) = self.query.keys().next() else { return Ok(()) };
        let name = name.as_str();
        Err(bad(match name {
            "protocol" => "protocol= is not supported: leave it out, PiSync speaks RESP2".into(),
            "ssl" | "tls" => "TLS is written as the scheme rediss://".into(),
            "ssl_cert_reqs" | "ssl_ca_certs" | "sslcert" | "skip_verify" => {
                "the CA of the server is named by --redis-ca-file (PISYNC_REDIS_CA_FILE)".into()
            }
            "sentinel_username" | "sentinel_password" => format!("{name}= belongs to redis+sentinel:// alone"),
            _ if name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_') && name.len() < 32 => {
                format!("it has the parameter {name}, which is not known here")
            }
            _ => "it has a parameter that is not known here".into(),
        }))
    }
}

fn login(user: Option<String>, password: Option<String>) -> Result<RedisConnectionInfo, BadUrl> {
    let mut login = RedisConnectionInfo::default();
    match (user, password) {
        (Some(_), None) => {
            return Err(bad("it names a user and no password: a password alone is written :PASSWORD@ with the colon"));
        }
        (user, Some(password)) => {
            login = login.set_password(password);
            if let Some(user) = user {
                login = login.set_username(user);
            }
        }
        (None, None) => {}
    }
    Ok(login)
}

fn kind(scheme: &str) -> Result<(Kind, bool), BadUrl> {
    let (scheme, kind) = scheme.split_once('+').map_or((scheme, None), |(scheme, kind)| (scheme, Some(kind)));
    let is_tls = match (scheme, kind) {
        ("unix", None) => return Ok((Kind::Socket, false)),
        ("redis" | "valkey", _) => false,
        ("rediss" | "valkeys", _) => true,
        ("redis-sentinel" | "rediss-sentinel", None) => {
            return Err(bad("sentinels are written redis+sentinel://HOST[:PORT],HOST[:PORT].../MASTER"));
        }
        ("redis-cluster" | "rediss-cluster", None) => {
            return Err(bad("a cluster is written redis+cluster://HOST:PORT,HOST:PORT..."));
        }
        ("redis-socket", None) => return Err(bad("a socket is written unix:///run/redis.sock")),
        _ => return Err(bad("its scheme is not known")),
    };
    match kind {
        None => Ok((Kind::Server, is_tls)),
        Some("cluster") => Ok((Kind::Cluster, is_tls)),
        Some("sentinel") => Ok((Kind::Sentinels, is_tls)),
        Some("unix" | "socket") if !is_tls => Ok((Kind::Socket, false)),
        Some("tls" | "ssl") => Err(bad("TLS is written as the scheme rediss://")),
        Some(_) => Err(bad("its scheme is not known")),
    }
}

/// Returns user and password; an empty one is none.
fn login_of(login: &str) -> Result<(Option<String>, Option<String>), BadUrl> {
    let (user, password) = login.split_once(':').map_or((login, None), |(user, password)| (user, Some(password)));
    let given = |text: &str| (!text.is_empty()).then(|| decoded(text)).transpose();
    Ok((given(user)?, password.map(given).transpose()?.flatten()))
}

fn pair_of(pair: &str) -> Result<(String, String), BadUrl> {
    let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
    Ok((decoded(name)?, decoded(value)?))
}

/// Returns the text without its percent-encoding.
fn decoded(text: &str) -> Result<String, BadUrl> {
    let is_hex = |at: usize| text.as_bytes().get(at).is_some_and(u8::is_ascii_hexdigit);
    if text.match_indices('%').any(|(at, _)| !is_hex(at + 1) || !is_hex(at + 2)) {
        return Err(bad("a % in the user or the password is written %25"));
    }
    let decoded = percent_decode_str(text).decode_utf8();
    Ok(decoded.map_err(|_| bad("its percent-encoding is not UTF-8"))?.into_owned())
}

impl Host {
    fn read(text: &str, port: u16) -> Result<Self, BadUrl> {
        let (name, port_text) = match text.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
            Some((name, tail)) => (name, tail),
            None => text.find(':').map_or((text, ""), |at| text.split_at(at)),
        };
        if port_text.matches(':').count() > 1 {
            return Err(bad("an IPv6 address is written in brackets: [::1]:6379"));
        }
        if name.is_empty() {
            return Err(bad("it names no host"));
        }
        if !name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._:%".contains(&b)) {
            return Err(bad("its host has a character that a host cannot have"));
        }
        if ["0.0.0.0", "::"].contains(&name) {
            return Err(bad("a server is not reached at 0.0.0.0 or ::, write its address or 127.0.0.1"));
        }
        let port = match port_text.strip_prefix(':') {
            Some("") => port,
            Some(number) => number.parse().ok().filter(|port| *port != 0).ok_or_else(|| {
                bad("its port is not a number from 1 to 65535 (a : in the user or the password is written %3A)")
            })?,
            None if port_text.is_empty() => port,
            None => return Err(bad("after the brackets of an IPv6 address comes :PORT or nothing")),
        };
        Ok(Self { name: name.to_owned(), port })
    }

    pub(super) fn address(&self, is_tls: bool) -> ConnectionAddr {
        let (host, port) = (self.name.clone(), self.port);
        if is_tls {
            ConnectionAddr::TcpTls { host, port, insecure: false, tls_params: None }
        } else {
            ConnectionAddr::Tcp(host, port)
        }
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, port } = self;
        if name.contains(':') { write!(f, "[{name}]:{port}") } else { write!(f, "{name}:{port}") }
    }
}
