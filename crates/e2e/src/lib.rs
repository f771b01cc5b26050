//! Journeys through the whole system: real processes, a real Redis, a real `MongoDB`.
//!
//! `scripts/test` provides the servers and says where they are in the environment. A test takes
//! a database, a key prefix, ports and a folder of its own, and ends only what it started.

mod env;
mod fleet;
mod process;
mod servers;

pub use env::{Api, TestEnv};
pub use fleet::{body, hours_ago};
pub use process::{Service, workspace_root};
pub use servers::{MongoServer, RedisServer};
