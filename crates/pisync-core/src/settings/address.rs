//! Addresses to listen on, as people type them.

use std::{
    io,
    net::{Ipv4Addr, SocketAddr},
};

/// Parses an address with its port. `localhost` is 127.0.0.1.
///
/// Fails with the remedy if only a port, or a name, is given: the operator has to choose between this machine and a
/// network.
pub fn address(text: &str) -> Result<SocketAddr, String> {
    if let Ok(address) = text.parse() {
        return Ok(address);
    }
    let (host, port) = text.rsplit_once(':').unwrap_or(("", text));
    match (host, port.parse::<u16>()) {
        ("localhost", Ok(port)) => Ok((Ipv4Addr::LOCALHOST, port).into()),
        ("", Ok(port)) => {
            Err(format!("it names no address: write 127.0.0.1:{port} for this machine alone, 0.0.0.0:{port} for all"))
        }
        (_, Ok(port)) => Err(format!("it is an IP address and a port, such as 127.0.0.1:{port} or [::1]:{port}")),
        (_, Err(_)) => Err("it is an IP address and a port, such as 127.0.0.1:8080 or [::1]:8080".into()),
    }
}

/// An address that cannot be listened on: a retry with the same settings does not help.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {address}: {why}. The setting is {setting}")]
pub struct CannotBind {
    setting: &'static str,
    address: SocketAddr,
    why: String,
}

impl CannotBind {
    /// Returns the reason for people, with the remedy; `setting` names flag and variable.
    pub fn new(setting: &'static str, address: SocketAddr, error: &io::Error) -> Self {
        let why = match error.kind() {
            io::ErrorKind::AddrInUse => "another process listens there: stop it, or take another port".to_owned(),
            io::ErrorKind::AddrNotAvailable => "this machine does not have the address".to_owned(),
            io::ErrorKind::PermissionDenied => "ports below 1024 need a right: take a higher one".to_owned(),
            _ => error.to_string(),
        };
        Self { setting, address, why }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_taken_or_refused_with_an_example() {
        for (text, read) in [
            ("127.0.0.1:8080", "127.0.0.1:8080"),
            ("localhost:8080", "127.0.0.1:8080"),
            ("[::]:8080", "[::]:8080"),
            ("[::1]:0", "[::1]:0"),
        ] {
            assert_eq!(address(text), Ok(read.parse().unwrap()), "{text}");
        }
        for (text, says) in [
            ("8080", "127.0.0.1:8080"),
            (":8080", "0.0.0.0:8080"),
            ("fleet.example:8080", "127.0.0.1:8080"),
            ("::1", "[::1]:"),
            ("127.0.0.1", "127.0.0.1:8080"),
            ("localhost:99999", "127.0.0.1:8080"),
            ("nowhere", "127.0.0.1:8080"),
        ] {
            let why = address(text).unwrap_err();
            assert!(why.contains(says), "{text}: {why}");
        }
    }
}
