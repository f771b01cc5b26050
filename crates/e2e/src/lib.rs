//! Journeys through the whole system: real processes, a real Redis, a real `MongoDB`.
//!
//! `scripts/test` provides the servers and says where they are in the environment. A test takes
//! a database, a key prefix, ports and a folder of its own, and ends only what it started.

pub mod chaos;
mod env;
mod fleet;
pub mod fleet_first;
mod mongo;
mod process;
mod proxy;
mod servers;

pub use env::{Api, TestEnv, setting};
pub use fleet::{body, hours_ago};
pub use mongo::{MongoServer, MongoSet, mongo_admin, mongo_command, mongo_find};
pub use process::{Service, workspace_root};
pub use servers::RedisServer;
