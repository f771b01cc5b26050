//! The harness of tests of the whole system: real processes, a real Redis, a real `MongoDB`.
//!
//! `scripts/test` starts the servers and puts their addresses into the environment. A test has a database, a key
//! prefix, ports and a folder of its own. It ends only what it started.
//!
//! In reading order: `environment` (variables of the scripts), `process` (processes of the system), `test_env`
//! (database, queue and processes of one test), `servers` (servers of one test), `proxies` (faulty connections),
//! `fake_receiver` (a target of notifications), `requests` (bodies and clients), [`world`] (stored data), [`keys`],
//! `clock`, `worker_task` (a worker without a process), `alerter_harness` (an alerter with a simulated clock), [`fleet_first`] (scenarios with that alerter).

mod alerter_harness;
mod clock;
mod environment;
mod fake_receiver;
pub mod fleet_first;
mod http_request;
pub mod keys;
mod process;
mod proxies;
mod requests;
mod servers;
mod test_env;
mod worker_task;
pub mod world;

pub use alerter_harness::AlerterHarness;
pub use clock::{clock, hours_ago, now, pass, stopwatch, wait_until};
pub use environment::{python, setting, workspace_root};
pub use fake_receiver::{Answer, FakeReceiver, Received};
pub use process::Service;
pub use proxies::{Interference, Marker, Portal, Proxy};
pub use requests::{Form, body, client, header, urlencoded};
pub use servers::{
    AlertmanagerServer, MailServer, MongoServer, MongoSet, Place, RedisServer, RedisSet, free_port, mongo_admin,
};
pub use test_env::{Api, TestEnv, asked_by, mongo_command, mongo_find, profile};
pub use worker_task::WorkerTask;
