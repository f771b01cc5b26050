//! The environment of one test: its database, its queue, its processes.

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

/// The timeout for a state that a test waits for.
const TIMEOUT: Duration = Duration::from_mins(1);

/// The interval between two checks of that state.
const POLL_INTERVAL: Duration = Duration::from_millis(50);

/// A unique name, and the servers to use with it.
#[derive(Debug)]
pub struct TestEnv {
    name: String,
    redis_url: String,
    mongo_uri: String,
    partitions: u16,
    folder: TempDir,
}

impl TestEnv {
    /// Returns an environment on the shared servers.
    pub fn new() -> Self {
        Self::at(None, None)
    }

    /// Returns an environment on the shared servers but for Redis.
    pub fn on_redis(redis: &RedisServer) -> Self {
        Self::at(Some(redis.url()), None)
    }

    /// Returns an environment on the shared servers but for `MongoDB`.
    pub fn on_mongo(mongo: &MongoServer) -> Self {
        Self::at(None, Some(mongo.uri()))
    }

    /// Returns an environment on these servers, or on the shared one for each `None`.
    pub fn at(redis_url: Option<String>, mongo_uri: Option<String>) -> Self {
        let redis_url = redis_url.unwrap_or_else(|| setting("PISYNC_TEST_REDIS_URL"));
        Self::on(redis_url, mongo_uri.unwrap_or_else(|| setting("PISYNC_TEST_MONGO_URI")))
    }

    fn on(redis_url: String, mongo_uri: String) -> Self {
        // Set the process's provider for TLS; only a second call could fail.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let folder = tempfile::Builder::new().prefix("pisync-e2e-").tempdir().expect("a folder");
        let name = folder.path().file_name().expect("its name").to_string_lossy().replace('.', "");
        Self { name, redis_url, mongo_uri, partitions: 4, folder }
    }

    /// Returns the name of the database, which is also the prefix of the keys.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns the URI of `MongoDB`.
    pub fn mongo_uri(&self) -> &str {
        &self.mongo_uri
    }

    /// Sets other servers for all processes started after it.
    pub fn move_to(&mut self, redis: &RedisServer, mongo: &MongoServer) {
        (self.redis_url, self.mongo_uri) = (redis.url(), mongo.uri());
    }

    /// Sets the number of partitions for all processes started after it.
    pub fn set_partitions(&mut self, partitions: u16) {
        self.partitions = partitions;
    }

    /// Returns the settings of the queue, as the processes have them.
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

    /// Returns the path of a file in the folder of this environment.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Returns the queue.
    pub fn queue(&self) -> Queue {
        Queue::new(&self.redis_settings()).expect("a queue")
    }

    /// Returns the store.
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

    /// Returns a command for a binary of the workspace, with the settings of this environment.
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

    /// Starts `ingest-api` with this name for its log, for a test with several.
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

    /// Returns the lines of `alerts.log`.
    pub fn alerts(&self) -> Vec<Value> {
        let log = std::fs::read_to_string(self.path("alerts.log")).unwrap_or_default();
        log.lines().map(|line| serde_json::from_str(line).expect("a JSON line")).collect()
    }

    /// Waits until `alerts.log` has at least `count` lines, and returns them.
    pub async fn has_alerts(&self, count: usize) -> Vec<Value> {
        self.until("alert lines", async || self.alerts().len() >= count).await;
        self.alerts()
    }

    /// Waits until no event is ready or in flight.
    pub async fn drained(&self) {
        let queue = self.queue();
        self.until("an empty queue", async || {
            let status = queue.status_of_all().await;
            status.is_ok_and(|all| all.iter().all(|partition| partition.ready + partition.in_flight() == 0))
        })
        .await;
    }

    /// Waits until `reached` returns true. Panics with all logs after a minute.
    pub async fn until(&self, what: &str, reached: impl AsyncFn() -> bool) {
        if !wait_until(TIMEOUT, POLL_INTERVAL, reached).await {
            let files = std::fs::read_dir(self.folder.path()).into_iter().flatten().flatten().map(|entry| entry.path());
            let read = |path: PathBuf| Some(format!("== {}\n{}", path.display(), std::fs::read_to_string(&path).ok()?));
            panic!("waited in vain for {what}\n{}", files.filter_map(read).collect::<String>())
        }
    }

    /// Returns all rows.
    pub async fn rows(&self) -> Vec<StoredEvent> {
        use futures_util::TryStreamExt;
        let rows = self.store().await.sync_events().all().await.expect("rows");
        rows.try_collect().await.expect("rows")
    }

    /// Returns all counters.
    pub async fn counters(&self) -> HashMap<DeviceId, FailureCounter> {
        use futures_util::TryStreamExt;
        let kept = self.store().await.failure_counters().all().await.expect("counters");
        kept.map_ok(|kept| (kept.counter.device_id.clone(), kept.counter)).try_collect().await.expect("counters")
    }

    /// Returns the failure count of a device; 0 if it has no counter.
    pub async fn failure_count(&self, device_id: &str) -> i32 {
        let device_id = DeviceId::parse(device_id).expect("a device id");
        self.counters().await.get(&device_id).map_or(0, FailureCounter::failure_count)
    }

    /// Runs a Redis command by `redis-cli`, with `{}` for the prefix of the keys. Returns its output.
    pub async fn redis(&self, args: &[&str]) -> String {
        let args = args.iter().map(|arg| arg.replace("{}", &self.name));
        let mut command = Command::new(server_binary("redis-cli"));
        let output = command.args(["-u", &self.redis_url]).args(args).output().await.expect("redis-cli");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }

    /// Ends the test: waits for an empty queue, then removes the test's data from the servers.
    pub async fn finish(self) {
        self.drained().await;
        self.remove().await;
    }

    /// Removes the test's data from the servers.
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
