//! What tests of the whole system are made of: real processes, a real Redis, a real `MongoDB`.
//!
//! `scripts/test` provides the servers and says where they are in the environment. A test takes
//! a database, a key prefix, ports and a folder of its own, and ends only what it started.
//!
//! In reading order: `environment` (what the scripts say), `process` (what is started), `test_env` (the world of
//! a test), `servers` (of a test's own), `proxies` (what stands between), `fake_receiver` (where
//! notifications go to), `requests` (what is sent), [`world`] (what is stored at once), [`keys`], `clock`, `alerter_harness` (an alerter with a simulated
//! clock), [`fleet_first`] (the stories that are told with it).

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
