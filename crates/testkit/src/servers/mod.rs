//! Servers of a test's own.

mod alertmanager;
mod mail_server;
mod mongo;
mod redis;
mod redis_sets;

pub use alertmanager::AlertmanagerServer;
pub use mail_server::MailServer;
pub use mongo::{MongoServer, MongoSet, mongo_admin, mongo_command, mongo_find, python};
pub use redis::{RedisServer, free_port};
pub(crate) use redis::server_binary;
pub use redis_sets::{Place, RedisSet};
