//! The verb `healthcheck`: a program asks its own process whether it is well. A container whose
//! image holds nothing but the program has nobody else to ask.

use std::{
    io::{self, BufRead, BufReader, Read, Write},
    net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream},
    time::Duration,
};

use clap::Args;

/// How long a connection, and then an answer, may take.
const TIMEOUT: Duration = Duration::from_secs(3);

/// The most bytes of an answer that are looked at: its first line is shorter.
const LONGEST: u64 = 1024;

/// What is asked.
#[derive(Debug, Clone, Copy, Args)]
pub struct Healthcheck {
    /// Ask whether it is ready (/readyz) and not only whether it lives (/healthz)
    #[arg(long)]
    pub ready: bool,
}

/// Why a process is not well.
#[derive(Debug, thiserror::Error)]
pub enum Unwell {
    /// The settings name no port to ask at.
    #[error("there is no port to ask at: set --ops-bind (PISYNC_OPS_BIND) as the process has it")]
    NoPort,
    /// It cannot be reached or does not answer.
    #[error("it does not answer")]
    Silent(#[from] io::Error),
    /// It answers, and not with 200.
    #[error("it answers {0}")]
    Answers(String),
}

impl Healthcheck {
    /// Asks the process that listens on `address`.
    ///
    /// Fails where it does not answer with 200 within seconds; it blocks so long.
    pub fn ask(self, address: SocketAddr) -> Result<(), Unwell> {
        self.ask_over(connect(address)?)
    }

    /// Asks over a connection that is there, which may be an encrypted one.
    pub fn ask_over(self, mut connection: impl Read + Write) -> Result<(), Unwell> {
        let path = if self.ready { "/readyz" } else { "/healthz" };
        write!(connection, "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")?;
        connection.flush()?;
        let mut line = String::new();
        BufReader::new(connection.take(LONGEST)).read_line(&mut line)?;
        if line.starts_with("HTTP/1.1 200 ") { Ok(()) } else { Err(Unwell::Answers(line.trim_end().to_owned())) }
    }
}

/// A connection to a process that listens on `address`; over loopback if it listens everywhere.
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
