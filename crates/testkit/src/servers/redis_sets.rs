//! Redis on several servers: a cluster, and a master with replicas and sentinels.

use std::{net::TcpListener, path::Path, time::Duration};

use tokio::process::Command;

use super::{free_port, redis::RedisServer};
use crate::{clock::wait_until, environment::server_binary, process::Service};

/// The timeout for the servers to agree. A sentinel that a busy machine has delayed does nothing for 30 s (its TILT
/// mode).
const TIMEOUT: Duration = Duration::from_mins(2);

/// The interval between two checks of their agreement.
const POLL_INTERVAL: Duration = Duration::from_millis(50);

/// The timeout after which the servers take a silent one for dead, in milliseconds.
const SILENCE: &str = "1000";

/// Options by which a replica gets its master's data without delay.
const REPLICATION: [&str; 2] = ["--repl-diskless-sync-delay", "0"];

/// The name of the master among the sentinels.
const MASTER: &str = "events";

/// A set of servers of which one may die.
#[derive(Debug)]
pub struct RedisSet {
    servers: Vec<RedisServer>,
    sentinels: Vec<(u16, Service)>,
    /// The password that the sentinels require.
    password: Option<&'static str>,
}

/// The index of a server in its set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place(usize);

impl RedisSet {
    /// Starts a cluster of three masters with a replica each.
    pub async fn cluster(folder: &Path, options: &[&'static str]) -> Self {
        let cluster = ["--cluster-enabled", "yes", "--cluster-node-timeout", SILENCE];
        // A replica may take over even if it lost its master long ago: it may be the only copy.
        let cluster = [&cluster[..], &["--cluster-replica-validity-factor", "0"], &REPLICATION, options].concat();
        let mut servers = Vec::new();
        for i in 0..6 {
            servers.push(RedisServer::start_on(cluster_port(), folder.join(format!("node-{i}")), &cluster).await);
        }
        let set = Self { servers, sentinels: Vec::new(), password: None };
        let addresses: Vec<_> = set.servers.iter().map(RedisServer::address).collect();
        let mut create = Command::new(server_binary("redis-cli"));
        create.args(["--cluster", "create"]).args(&addresses);
        let created = create.args(["--cluster-replicas", "1", "--cluster-yes"]).output().await.expect("redis-cli");
        let said = [created.stdout, created.stderr].concat();
        assert!(created.status.success(), "{}", String::from_utf8_lossy(&said));
        for server in &set.servers {
            wait("a cluster", async || {
                let info = server.cli(&["CLUSTER", "INFO"]).await;
                info.contains("cluster_state:ok") && info.contains("cluster_known_nodes:6") && set.in_step(server).await
            })
            .await;
        }
        set
    }

    /// Starts a master with two replicas, and three sentinels.
    pub async fn sentinels(folder: &Path, options: &[&'static str]) -> Self {
        Self::watched(folder, options, None).await
    }

    /// Starts them as [`Self::sentinels`] does. The sentinels require a password, and the servers do not.
    pub async fn guarded_sentinels(folder: &Path, password: &'static str) -> Self {
        Self::watched(folder, &[], Some(password)).await
    }

    async fn watched(folder: &Path, options: &[&'static str], password: Option<&'static str>) -> Self {
        let options = [&REPLICATION[..], options].concat();
        let mut servers = Vec::new();
        for i in 0..3 {
            servers.push(RedisServer::start(folder.join(format!("server-{i}")), &options).await);
        }
        let master = servers[0].port().to_string();
        for replica in &servers[1..] {
            assert_eq!(replica.cli(&["REPLICAOF", "127.0.0.1", &master]).await, "OK");
        }
        let sentinels = (0..3).map(|i| sentinel(&folder.join(format!("sentinel-{i}")), &master, password)).collect();
        let set = Self { servers, sentinels, password };
        for server in &set.servers {
            wait("replicas", async || set.in_step(server).await).await;
        }
        for (port, _) in &set.sentinels {
            wait("sentinels that know each other", async || {
                let known = cli(*port, password, &["SENTINEL", "MASTER", MASTER]).await;
                let number = |name| known.lines().skip_while(|line| *line != name).nth(1).map(str::to_owned);
                number("num-other-sentinels").as_deref() == Some("2") && number("num-slaves").as_deref() == Some("2")
            })
            .await;
        }
        set
    }

    /// Returns the URL in the form of the settings.
    pub fn url(&self) -> String {
        let hosts =
            |ports: Vec<u16>| ports.iter().map(|port| format!("127.0.0.1:{port}")).collect::<Vec<_>>().join(",");
        if self.sentinels.is_empty() {
            return format!("redis+cluster://{}", hosts(self.servers.iter().map(RedisServer::port).collect()));
        }
        format!("redis+sentinel://{}/{MASTER}", hosts(self.sentinels.iter().map(|(port, _)| *port).collect()))
    }

    /// Returns the master of a key, and its current replicas.
    pub async fn holders(&self, key: &str) -> (Place, Vec<Place>) {
        for (i, server) in self.servers.iter().enumerate() {
            let replication = server.cli(&["INFO", "replication"]).await;
            let ports = replication.lines().filter_map(|line| line.strip_prefix("slave")?.split("port=").nth(1));
            let ports: Vec<u16> = ports.filter_map(|rest| rest.split(',').next()?.parse().ok()).collect();
            // A master without the key names its owner.
            if replication.contains("role:master") && !server.cli(&["EXISTS", key]).await.contains("MOVED") {
                let place = |port: &u16| self.servers.iter().position(|server| server.port() == *port).map(Place);
                return (Place(i), ports.iter().filter_map(place).collect());
            }
        }
        panic!("no master has {key}")
    }

    /// Runs a command on the server that has its key.
    pub async fn cli(&self, args: &[&str]) -> String {
        let last = self.servers.len() - 1;
        self.servers[last].cli(&[&["-c"], args].concat()).await
    }

    /// Returns true if a server is a replica of a reachable master.
    pub async fn is_replica(&self, place: Place) -> bool {
        self.servers[place.0].cli(&["INFO", "replication"]).await.contains("role:slave")
            && self.in_step(&self.servers[place.0]).await
    }

    /// Makes a replica take over from the master of a key. The master lives on as a replica.
    pub async fn hand_over(&self, key: &str) {
        let (master, replicas) = self.holders(key).await;
        wait("a replica that takes over", async || {
            let said = match self.sentinels.first() {
                Some((port, _)) => cli(*port, self.password, &["SENTINEL", "FAILOVER", MASTER]).await,
                None => self.servers[replicas[0].0].cli(&["CLUSTER", "FAILOVER"]).await,
            };
            said == "OK"
        })
        .await;
        wait("the old master as a replica", async || self.is_replica(master).await).await;
    }

    /// Returns all servers.
    pub fn servers(&self) -> &[RedisServer] {
        &self.servers
    }

    /// Returns one of the servers.
    pub fn server(&mut self, place: Place) -> &mut RedisServer {
        &mut self.servers[place.0]
    }

    /// Returns true if a server is a master with a replica in sync, or a replica in sync with its master.
    async fn in_step(&self, server: &RedisServer) -> bool {
        let replication = server.cli(&["INFO", "replication"]).await;
        let is_replica = replication.contains("role:slave");
        if is_replica { replication.contains("master_link_status:up") } else { replication.contains("state=online") }
    }
}

/// Nodes talk to each other on the port that is 10,000 above, which must not be one of those that
/// Linux takes for outgoing connections either.
fn cluster_port() -> u16 {
    let is_free = |port: &u16| [0, 10_000].iter().all(|above| TcpListener::bind(("127.0.0.1", port + above)).is_ok());
    std::iter::repeat_with(|| fastrand::u16(20_000..22_700)).take(100).find(is_free).expect("two free ports")
}

fn sentinel(folder: &Path, master: &str, password: Option<&str>) -> (u16, Service) {
    std::fs::create_dir_all(folder).expect("a folder for a sentinel");
    let port = free_port();
    let file = folder.join("sentinel.conf");
    let guard = password.map(|word| format!("requirepass {word}\nsentinel sentinel-pass {word}\n"));
    let guard = guard.unwrap_or_default();
    let settings = format!(
        "{guard}port {port}\nbind 127.0.0.1\ndir {}\nsentinel monitor {MASTER} 127.0.0.1 {master} 2\n\
         sentinel down-after-milliseconds {MASTER} {SILENCE}\nsentinel failover-timeout {MASTER} 5000\n",
        folder.display()
    );
    std::fs::write(&file, settings).expect("the settings of a sentinel");
    let mut command = Command::new(server_binary("redis-server"));
    command.arg(&file).arg("--sentinel");
    (port, Service::start(command, &folder.join("sentinel.log")))
}

async fn cli(port: u16, password: Option<&str>, args: &[&str]) -> String {
    let mut command = Command::new(server_binary("redis-cli"));
    if let Some(password) = password {
        command.args(["--no-auth-warning", "-a", password]);
    }
    let output = command.args(["-p", &port.to_string()]).args(args).output().await.expect("redis-cli");
    String::from_utf8_lossy(&output.stdout).trim().replace('\r', "")
}

async fn wait(what: &str, reached: impl AsyncFn() -> bool) {
    assert!(wait_until(TIMEOUT, POLL_INTERVAL, reached).await, "waited in vain for {what}");
}
