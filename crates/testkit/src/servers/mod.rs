//! Servers of one test.

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

/// The timeout for a server to listen.
const TIMEOUT: Duration = Duration::from_secs(10);

/// The interval between two connection attempts.
const POLL_INTERVAL: Duration = Duration::from_millis(25);

/// Returns a free port for a server of a test.
///
/// It is below 32768, so it is none of Linux's ports for outgoing connections. None of those can take the port
/// between this check and the server's start.
pub fn free_port() -> u16 {
    let ports = std::iter::repeat_with(|| fastrand::u16(20_000..32_000)).take(100);
    let free = ports.into_iter().find(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok());
    free.expect("a free port")
}

/// Waits until a server listens on the port.
async fn answers(port: u16) {
    let is_heard = wait_until(TIMEOUT, POLL_INTERVAL, async || TcpStream::connect(("127.0.0.1", port)).await.is_ok());
    assert!(is_heard.await, "nothing listens on port {port}");
}
