//! What tests of the whole system are made of: real processes, a real Redis, a real `MongoDB`.
//!
//! `scripts/test` provides the servers and says where they are in the environment. A test takes
//! a database, a key prefix, ports and a folder of its own, and ends only what it started.

mod alertmanager;
mod clock;
mod env;
mod far_end;
mod fleet;
pub mod fleet_first;
mod form;
mod mail_server;
mod mongo;
mod portal;
mod process;
mod proxy;
mod redis_sets;
mod servers;

pub use alertmanager::AlertmanagerServer;
pub use clock::{clock, pass, stopwatch};
pub use env::{Api, TestEnv, setting};
pub use far_end::{Answer, FarEnd, Received};
pub use fleet::{body, hours_ago, now};
pub use form::{Form, urlencoded};
pub use mail_server::MailServer;
pub use mongo::{MongoServer, MongoSet, mongo_admin, mongo_command, mongo_find, python};
pub use portal::{Interference, Portal};
pub use process::{Service, workspace_root};
pub use proxy::{Marker, Proxy};
pub use redis_sets::{Place, RedisSet};
pub use servers::{RedisServer, free_port};
