//! The processes of a row: an API at one address, workers, and the fleet.

use std::{process::ExitStatus, sync::Arc, time::Duration};

use anyhow::ensure;
use fastrand::Rng;
use testkit::{Service, TestEnv, free_port};
use tokio::{process::Command, time::timeout};

use crate::settings::Scale;

/// The settings of the fleet in every row: four syncs in ten fail, a fifth is sent again, devices send in random
/// order, and none gives up.
const FLEET: &[&str] = &[
    "--failure-rate=0.4",
    "--resend-rate=0.2",
    "--shuffle",
    "--tries=1000000",
    "--timeout=5s",
    "--max-wait=500ms",
    "--json",
];

/// The processes of a row; they are killed when they are dropped.
#[derive(Debug)]
pub(crate) struct Processes {
    /// The healthy workers.
    pub(crate) workers: Vec<Service>,
    /// The URL of a proxy to Redis, if the services use one.
    pub(crate) detour: Option<String>,
    /// The lease of a batch: time until another worker may claim it.
    pub(crate) lease: Duration,
    /// The number of events that fleets send, without repeated ones.
    pub(crate) sent: u64,
    scale: Scale,
    seed: u64,
    env: Arc<TestEnv>,
    address: String,
    api: Option<Service>,
    fleet: Option<Service>,
    started: usize,
}

impl Processes {
    /// Returns the processes of a row, none of which runs yet.
    pub(crate) fn new(env: Arc<TestEnv>, scale: Scale, rng: &mut Rng) -> Self {
        let seed = u64::from(rng.u32(..));
        let address = format!("127.0.0.1:{}", free_port());
        let (workers, lease) = (Vec::new(), scale.lease);
        Self { workers, detour: None, lease, sent: 0, scale, seed, env, address, api: None, fleet: None, started: 0 }
    }

    /// Returns the URL of the API.
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Starts a program of the workspace in the row's environment, with a log of its own.
    pub(crate) fn start(&mut self, binary: &str, args: &[&str]) -> Service {
        self.started += 1;
        let mut command: Command = self.env.command(binary, args);
        if let Some(detour) = &self.detour {
            command.env("PISYNC_REDIS_URL", detour);
        }
        Service::start(command, &self.env.path(&format!("{:02}-{binary}.log", self.started)))
    }

    /// Starts an API and waits until it listens. The caller kills it.
    pub(crate) async fn start_api(&mut self, args: &[&str]) -> Service {
        let address = self.address.clone();
        let mut api = self.start("ingest-api", &[&["--bind", &address], args].concat());
        api.says("listening address=").await;
        api
    }

    /// Starts the API of the row.
    pub(crate) async fn open_api(&mut self) {
        let api = self.start_api(&[]).await;
        self.keep_api(api);
    }

    /// Makes a running API the API of the row.
    pub(crate) fn keep_api(&mut self, api: Service) {
        self.api = Some(api);
    }

    /// Starts a worker and waits until it works. The caller kills it.
    pub(crate) async fn start_worker(&mut self, args: &[&str]) -> Service {
        let (batch, lease) = (self.scale.batch.to_string(), self.lease.as_millis().to_string());
        let mut worker = self.start("queue-worker", &[&["--batch", &batch, "--lease-ms", &lease], args].concat());
        worker.says("working").await;
        worker
    }

    /// Starts healthy workers.
    pub(crate) async fn start_workers(&mut self, count: usize) {
        for _ in 0..count {
            let worker = self.start_worker(&[]).await;
            self.workers.push(worker);
        }
    }

    /// Starts the fleet, which sends its events over this time.
    pub(crate) fn start_fleet(&mut self, over: Duration) {
        let over = format!("--over={}ms", over.as_millis());
        self.launch_fleet(self.scale.devices, &["--pattern=spread", &over]);
    }

    /// Starts the fleet, which sends as fast as it can.
    pub(crate) fn start_fleet_at_once(&mut self) {
        self.launch_fleet(self.scale.devices, &["--pattern=burst"]);
    }

    /// Sends all events of the first device, which lie in one partition. Waits until they are accepted.
    pub(crate) async fn send_first_device(&mut self) -> anyhow::Result<()> {
        self.launch_fleet(1, &["--pattern=burst"]);
        self.wait_for_fleet().await
    }

    fn launch_fleet(&mut self, devices: u32, pattern: &[&str]) {
        let (url, ledger) = (self.url(), self.env.path("ledger.ndjson").display().to_string());
        let (count, rounds, seed) = (devices.to_string(), self.scale.rounds.to_string(), self.seed.to_string());
        let args =
            ["run", "--api", &url, "--ledger", &ledger, "--seed", &seed, "--devices", &count, "--rounds", &rounds];
        self.fleet = Some(self.start("fleet-sim", &[&args[..], FLEET, pattern].concat()));
        self.sent += u64::from(devices) * u64::from(self.scale.rounds);
    }

    /// Waits until every event of the fleet is accepted.
    pub(crate) async fn wait_for_fleet(&mut self) -> anyhow::Result<()> {
        let Some(mut fleet) = self.fleet.take() else { return Ok(()) };
        let status = end_of(&mut fleet).await;
        ensure!(status.success(), "the fleet ended with {status}:\n{}", fleet.log());
        Ok(())
    }

    /// Stops the healthy workers. Fails if one of them had died by itself.
    pub(crate) async fn stop_workers(&mut self) -> anyhow::Result<()> {
        for mut worker in self.workers.drain(..) {
            let status = worker.terminate().await;
            ensure!(status.success(), "a worker ended with {status}:\n{}", worker.log());
        }
        Ok(())
    }
}

/// Waits for the end of a process, as long as the row's timeout allows.
async fn end_of(service: &mut Service) -> ExitStatus {
    loop {
        if let Ok(status) = timeout(Duration::from_secs(1), service.ended()).await {
            return status;
        }
    }
}
