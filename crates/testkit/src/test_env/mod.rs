//! One test's own world: its database, its queue, its processes.

mod api;
mod mongo;

use std::{collections::HashMap, path::PathBuf, time::Duration};

use pisync_core::{
    models::{DeviceId, FailureCounter},
    queue::Queue,
    settings::{MongoSettings, RedisSettings, Secret},
    store::{Store, StoredEvent},
};
use serde_json::Value;
use tempfile::TempDir;
use tokio::process::Command;

pub use self::{
    api::Api,
    mongo::{asked_by, mongo_command, mongo_find, profile},
};
use crate::{
    clock::wait_until,
    environment::{server_binary, setting},
    process::Service,
    servers::{MongoServer, RedisServer},
};

/// How long the system may take to reach a state that a test waits for.
const TIMEOUT: Duration = Duration::from_mins(1);

/// How often it is looked.
const POLL_INTERVAL: Duration = Duration::from_millis(50);

/// A name that nothing else uses, and the servers that go with it.
#[derive(Debug)]
pub struct TestEnv {
    name: String,
    redis_url: String,
    mongo_uri: String,
    partitions: u16,
    folder: TempDir,
}

impl TestEnv {
    /// A world on the shared servers.
    pub fn new() -> Self {
        Self::at(None, None)
    }

    /// A world on the shared servers but for Redis.
    pub fn on_redis(redis: &RedisServer) -> Self {
        Self::at(Some(redis.url()), None)
    }

    /// A world on the shared servers but for `MongoDB`.
    pub fn on_mongo(mongo: &MongoServer) -> Self {
        Self::at(None, Some(mongo.uri()))
    }

    /// A world on these servers; on the shared ones where none is named.
    pub fn at(redis_url: Option<String>, mongo_uri: Option<String>) -> Self {
        let redis_url = redis_url.unwrap_or_else(|| setting("PISYNC_TEST_REDIS_URL"));
        Self::on(redis_url, mongo_uri.unwrap_or_else(|| setting("PISYNC_TEST_MONGO_URI")))
    }

    fn on(redis_url: String, mongo_uri: String) -> Self {
        // Whatever speaks TLS uses it; only a second call could fail.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let folder = tempfile::Builder::new().prefix("pisync-e2e-").tempdir().expect("a folder");
        let name = folder.path().file_name().expect("its name").to_string_lossy().replace('.', "");
        Self { name, redis_url, mongo_uri, partitions: 4, folder }
    }

    /// The name of the database, and the prefix of the keys.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Where `MongoDB` is.
    pub fn mongo_uri(&self) -> &str {
        &self.mongo_uri
    }

    /// Lets what is started from now on find this world on other servers.
    pub fn move_to(&mut self, redis: &RedisServer, mongo: &MongoServer) {
        (self.redis_url, self.mongo_uri) = (redis.url(), mongo.uri());
    }

    /// Lets what is started from now on have so many partitions.
    pub fn set_partitions(&mut self, partitions: u16) {
        self.partitions = partitions;
    }

    /// The settings of the queue, as the processes of this world have them.
    pub fn redis_settings(&self) -> RedisSettings {
        RedisSettings {
            redis_url: Secret::new(&self.redis_url),
            redis_ca_file: None,
            key_prefix: self.name.clone(),
            partitions: self.partitions,
            allow_eviction: false,
            response_timeout: Duration::from_secs(5),
        }
    }

    /// A file in the folder of this world.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The queue.
    pub fn queue(&self) -> Queue {
        Queue::new(&self.redis_settings()).expect("a queue")
    }

    /// The store.
    pub async fn store(&self) -> Store {
        let settings = MongoSettings {
            mongo_uri: Secret::new(&self.mongo_uri),
            mongo_db: Some(self.name.clone()),
            mongo_ca_file: None,
            sync_event_collection: "SyncEvent".into(),
            failure_counter_collection: "FailureCounter".into(),
        };
        Store::open(&settings, "e2e").await.expect("a store")
    }

    /// A binary of the workspace with the settings of this world in its environment.
    pub fn command(&self, binary: &str, args: &[&str]) -> Command {
        let mut command = Service::binary(binary);
        command.args(args).current_dir(self.folder.path());
        command.env("PISYNC_REDIS_URL", &self.redis_url).env("PISYNC_KEY_PREFIX", &self.name);
        command.env("PISYNC_MONGO_URI", &self.mongo_uri).env("PISYNC_MONGO_DB", &self.name);
        command.env("PISYNC_PARTITIONS", self.partitions.to_string());
        command
    }

    /// Starts a binary; its log is the file `name`.
    pub fn start(&self, name: &str, binary: &str, args: &[&str]) -> Service {
        Service::start(self.command(binary, args), &self.path(name))
    }

    /// Starts `ingest-api` and waits until it listens.
    pub async fn api(&self, args: &[&str]) -> Api {
        self.api_named("api.log", args).await
    }

    /// The same with a log of its own name, for a test that has more than one.
    pub async fn api_named(&self, name: &str, args: &[&str]) -> Api {
        let mut service = self.start(name, "ingest-api", &[&["--bind", "127.0.0.1:0"], args].concat());
        let address = service.says("listening address=").await;
        Api::new(service, address.trim())
    }

    /// Starts a `queue-worker` and waits until it works.
    pub async fn worker(&self, name: &str, args: &[&str]) -> Service {
        let mut service = self.start(name, "queue-worker", args);
        service.says("working").await;
        service
    }

    /// Starts an `alerter` that writes to `alerts.log` and waits until it watches.
    pub async fn alerter(&self, name: &str, args: &[&str]) -> Service {
        let log = self.path("alerts.log").display().to_string();
        let mut service = self.start(name, "alerter", &[&["--alert-log", &log], args].concat());
        service.says("watching").await;
        service
    }

    /// The lines of `alerts.log`.
    pub fn alerts(&self) -> Vec<Value> {
        let log = std::fs::read_to_string(self.path("alerts.log")).unwrap_or_default();
        log.lines().map(|line| serde_json::from_str(line).expect("a JSON line")).collect()
    }

    /// Waits until `alerts.log` has at least so many lines.
    pub async fn has_alerts(&self, count: usize) -> Vec<Value> {
        self.until("alert lines", async || self.alerts().len() >= count).await;
        self.alerts()
    }

    /// Waits until no message waits or is in flight.
    pub async fn drained(&self) {
        let queue = self.queue();
        self.until("an empty queue", async || {
            let status = queue.status_of_all().await;
            status.is_ok_and(|all| all.iter().all(|partition| partition.ready + partition.in_flight() == 0))
        })
        .await;
    }

    /// Waits until `reached` says so.
    pub async fn until(&self, what: &str, reached: impl AsyncFn() -> bool) {
        if !wait_until(TIMEOUT, POLL_INTERVAL, reached).await {
            let files = std::fs::read_dir(self.folder.path()).into_iter().flatten().flatten().map(|entry| entry.path());
            let read = |path: PathBuf| Some(format!("== {}\n{}", path.display(), std::fs::read_to_string(&path).ok()?));
            panic!("waited in vain for {what}\n{}", files.filter_map(read).collect::<String>())
        }
    }

    /// All rows.
    pub async fn rows(&self) -> Vec<StoredEvent> {
        use futures_util::TryStreamExt;
        let rows = self.store().await.sync_events().all().await.expect("rows");
        rows.try_collect().await.expect("rows")
    }

    /// All counters.
    pub async fn counters(&self) -> HashMap<DeviceId, FailureCounter> {
        use futures_util::TryStreamExt;
        let kept = self.store().await.failure_counters().all().await.expect("counters");
        kept.map_ok(|kept| (kept.counter.device_id.clone(), kept.counter)).try_collect().await.expect("counters")
    }

    /// The failure count of a device; 0 where it has no counter.
    pub async fn failure_count(&self, device_id: &str) -> i32 {
        let device_id = DeviceId::parse(device_id).expect("a device id");
        self.counters().await.get(&device_id).map_or(0, FailureCounter::failure_count)
    }

    /// Sends a command to Redis by `redis-cli`, with `{}` for the prefix of the keys.
    pub async fn redis(&self, args: &[&str]) -> String {
        let args = args.iter().map(|arg| arg.replace("{}", &self.name));
        let mut command = Command::new(server_binary("redis-cli"));
        let output = command.args(["-u", &self.redis_url]).args(args).output().await.expect("redis-cli");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }

    /// Ends the test: nothing may be left in the queue. Removes what the servers hold of it.
    pub async fn finish(self) {
        self.drained().await;
        self.remove().await;
    }

    /// Removes what the servers hold of this world.
    pub async fn remove(self) {
        self.queue().remove().await.expect("removing the keys");
        self.store().await.remove().await.expect("removing the database");
    }
}

impl Default for TestEnv {
    fn default() -> Self {
        Self::new()
    }
}
