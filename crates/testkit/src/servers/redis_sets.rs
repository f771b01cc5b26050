//! Redis on several servers: a cluster, and a master whose replicas sentinels choose from.

use std::{net::TcpListener, path::Path, time::Duration};

use tokio::process::Command;

use super::{free_port, redis::RedisServer};
use crate::{clock::wait_until, environment::server_binary, process::Service};

/// How long the servers may take to agree. A sentinel that a busy machine has held up does nothing for
/// 30 s (its TILT mode).
const TIMEOUT: Duration = Duration::from_mins(2);

/// How often it is looked whether they do.
const POLL_INTERVAL: Duration = Duration::from_millis(50);

/// How long a server may be silent before the others take it for dead, in milliseconds.
const SILENCE: &str = "1000";

/// A replica gets its master's data at once.
const REPLICATION: [&str; 2] = ["--repl-diskless-sync-delay", "0"];

/// The name under which the sentinels know the master.
const MASTER: &str = "events";

/// Servers of which one may die.
#[derive(Debug)]
pub struct RedisSet {
    servers: Vec<RedisServer>,
    sentinels: Vec<(u16, Service)>,
    /// What the sentinels ask their callers for.
    password: Option<&'static str>,
}

/// One server of a set, by its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place(usize);

impl RedisSet {
    /// A cluster of three masters with a replica each.
    pub async fn cluster(folder: &Path, options: &[&'static str]) -> Self {
        let cluster = ["--cluster-enabled", "yes", "--cluster-node-timeout", SILENCE];
        // A replica that has heard nothing for long may be all there is.
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

    /// A master with two replicas, and three sentinels.
    pub async fn sentinels(folder: &Path, options: &[&'static str]) -> Self {
        Self::watched(folder, options, None).await
    }

    /// The same with sentinels that ask for a password, as the servers do not.
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

    /// Where it is, in the form of the settings.
    pub fn url(&self) -> String {
        let hosts =
            |ports: Vec<u16>| ports.iter().map(|port| format!("127.0.0.1:{port}")).collect::<Vec<_>>().join(",");
        if self.sentinels.is_empty() {
            return format!("redis+cluster://{}", hosts(self.servers.iter().map(RedisServer::port).collect()));
        }
        format!("redis+sentinel://{}/{MASTER}", hosts(self.sentinels.iter().map(|(port, _)| *port).collect()))
    }

    /// The master that has a key, with the replicas it has now.
    pub async fn holders(&self, key: &str) -> (Place, Vec<Place>) {
        for (i, server) in self.servers.iter().enumerate() {
            let replication = server.cli(&["INFO", "replication"]).await;
            let ports = replication.lines().filter_map(|line| line.strip_prefix("slave")?.split("port=").nth(1));
            let ports: Vec<u16> = ports.filter_map(|rest| rest.split(',').next()?.parse().ok()).collect();
            // One that has not the key says who has.
            if replication.contains("role:master") && !server.cli(&["EXISTS", key]).await.contains("MOVED") {
                let place = |port: &u16| self.servers.iter().position(|server| server.port() == *port).map(Place);
                return (Place(i), ports.iter().filter_map(place).collect());
            }
        }
        panic!("no master has {key}")
    }

    /// Sends a command to the server that has its key.
    pub async fn cli(&self, args: &[&str]) -> String {
        let last = self.servers.len() - 1;
        self.servers[last].cli(&[&["-c"], args].concat()).await
    }

    /// Whether a server is a replica with a master that is there.
    pub async fn is_replica(&self, place: Place) -> bool {
        self.servers[place.0].cli(&["INFO", "replication"]).await.contains("role:slave")
            && self.in_step(&self.servers[place.0]).await
    }

    /// Lets a replica take over from the master that has a key, which lives on as a replica.
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

    /// Every server.
    pub fn servers(&self) -> &[RedisServer] {
        &self.servers
    }

    /// One of the servers.
    pub fn server(&mut self, place: Place) -> &mut RedisServer {
        &mut self.servers[place.0]
    }

    /// Whether a server is a master or has all that its master has.
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
