//! TLS detection after a failed connection: a server hangs up, or waits for ever, if only one side speaks TLS.

use std::time::Duration;

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

/// The timeout of one question.
const TIMEOUT: Duration = Duration::from_millis(500);

/// The protocol of a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Speech {
    Plain,
    Tls,
}

/// A client hello of TLS 1.2 with one cipher suite: a TLS server answers with a handshake or an alert.
const CLIENT_HELLO: [u8; 50] = {
    let mut hello = [7; 50];
    // A record (22) of TLS 1.0 with 45 bytes; in it a client hello (1) of TLS 1.2 with 41.
    let (head, tail) = ([22, 3, 1, 0, 45, 1, 0, 0, 41, 3, 3], [0, 0, 2, 0xc0, 0x2f, 1, 0]);
    let mut at = 0;
    while at < head.len() {
        hello[at] = head[at];
        at += 1;
    }
    // Between them are 32 bytes that should be random, and need not be.
    at = 0;
    while at < tail.len() {
        hello[43 + at] = tail[at];
        at += 1;
    }
    hello
};

/// Returns the protocol of the server at an address, if it answers.
pub(crate) async fn of(host: &str, port: u16) -> Option<Speech> {
    match answer(host, port, b"PING\r\n").await {
        Some(b'+' | b'-') => return Some(Speech::Plain),
        // An alert.
        Some(21) => return Some(Speech::Tls),
        _ => {}
    }
    matches!(answer(host, port, &CLIENT_HELLO).await, Some(21 | 22)).then_some(Speech::Tls)
}

/// Returns the first byte of the server's answer.
async fn answer(host: &str, port: u16, said: &[u8]) -> Option<u8> {
    let asked = async {
        let mut server = TcpStream::connect((host, port)).await.ok()?;
        server.write_all(said).await.ok()?;
        server.read_u8().await.ok()
    };
    timeout(TIMEOUT, asked).await.ok().flatten()
}
