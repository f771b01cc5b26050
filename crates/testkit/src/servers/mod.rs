//! Servers of a test's own.

mod alertmanager;
mod mail_server;
mod mongo;
mod mongo_shell;
mod redis;
mod redis_sets;

use std::{net::TcpListener, time::Duration};

pub use alertmanager::AlertmanagerServer;
pub use mail_server::MailServer;
pub use mongo::{MongoServer, MongoSet};
pub use mongo_shell::mongo_admin;
pub(crate) use mongo_shell::mongo_run;
pub use redis::RedisServer;
pub use redis_sets::{Place, RedisSet};
use tokio::net::TcpStream;

use crate::clock::wait_until;

/// How long a server may take until it listens.
const TIMEOUT: Duration = Duration::from_secs(10);

/// How often it is looked whether it does.
const POLL_INTERVAL: Duration = Duration::from_millis(25);

/// Returns a port for a server of a test.
///
/// Below 32768, where Linux takes the ports of outgoing connections: none of those can slip onto
/// the port between this look and the server's start.
pub fn free_port() -> u16 {
    let ports = std::iter::repeat_with(|| fastrand::u16(20_000..32_000)).take(100);
    let free = ports.into_iter().find(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok());
    free.expect("a free port")
}

/// Waits until something listens on the port.
async fn answers(port: u16) {
    let is_heard = wait_until(TIMEOUT, POLL_INTERVAL, async || TcpStream::connect(("127.0.0.1", port)).await.is_ok());
    assert!(is_heard.await, "nothing listens on port {port}");
}
