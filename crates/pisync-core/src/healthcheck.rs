//! The command `healthcheck`: a program asks its own process for its health, since a minimal container image holds no
//! other program that could.

use std::{
    io::{self, BufRead, BufReader, Read, Write},
    net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream},
    time::Duration,
};

use clap::Args;

/// The timeout of the connection, and then of the answer.
const TIMEOUT: Duration = Duration::from_secs(3);

/// The most bytes of an answer that are read: its first line is shorter.
const LONGEST: u64 = 1024;

/// The arguments of the command.
#[derive(Debug, Clone, Copy, Args)]
pub struct Healthcheck {
    /// Ask for readiness (/readyz) instead of liveness (/healthz)
    #[arg(long)]
    pub ready: bool,
}

/// The reason that a process is unhealthy.
#[derive(Debug, thiserror::Error)]
pub enum Unwell {
    /// The settings name no port.
    #[error("no port is set: give --ops-bind (PISYNC_OPS_BIND) the process's own value")]
    NoPort,
    /// The process cannot be reached or does not answer.
    #[error("it does not answer")]
    Silent(#[from] io::Error),
    /// The answer is not 200.
    #[error("it answers {0}")]
    Answers(String),
}

impl Healthcheck {
    /// Asks the process that listens on `address`. Blocks for some seconds at most.
    ///
    /// Fails if the answer is not 200 or does not come in time.
    pub fn ask(self, address: SocketAddr) -> Result<(), Unwell> {
        self.ask_over(connect(address)?)
    }

    /// Asks over an open connection, which may be encrypted.
    pub fn ask_over(self, mut connection: impl Read + Write) -> Result<(), Unwell> {
        let path = if self.ready { "/readyz" } else { "/healthz" };
        write!(connection, "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")?;
        connection.flush()?;
        let mut line = String::new();
        BufReader::new(connection.take(LONGEST)).read_line(&mut line)?;
        if line.starts_with("HTTP/1.1 200 ") { Ok(()) } else { Err(Unwell::Answers(line.trim_end().to_owned())) }
    }
}

/// Returns a connection to the process that listens on `address`; over loopback if it listens on all addresses.
pub fn connect(address: SocketAddr) -> io::Result<TcpStream> {
    let connection = TcpStream::connect_timeout(&reachable(address), TIMEOUT)?;
    connection.set_read_timeout(Some(TIMEOUT))?;
    connection.set_write_timeout(Some(TIMEOUT))?;
    Ok(connection)
}

fn reachable(mut address: SocketAddr) -> SocketAddr {
    match address {
        SocketAddr::V4(everywhere) if everywhere.ip().is_unspecified() => address.set_ip(Ipv4Addr::LOCALHOST.into()),
        SocketAddr::V6(everywhere) if everywhere.ip().is_unspecified() => address.set_ip(Ipv6Addr::LOCALHOST.into()),
        SocketAddr::V4(_) | SocketAddr::V6(_) => {}
    }
    address
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_that_listens_everywhere_is_asked_over_loopback() {
        for (listens, asked) in [
            ("0.0.0.0:8080", "127.0.0.1:8080"),
            ("[::]:8080", "[::1]:8080"),
            ("192.0.2.7:8080", "192.0.2.7:8080"),
            ("127.0.0.1:9100", "127.0.0.1:9100"),
        ] {
            assert_eq!(reachable(listens.parse().unwrap()), asked.parse().unwrap());
        }
    }
}
