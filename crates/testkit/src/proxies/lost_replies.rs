//! A proxy for Redis that drops replies: it forwards the request, Redis executes it, and the connection breaks before
//! the reply.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use fastrand::Rng;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{
        TcpListener, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    task::{JoinHandle, JoinSet},
};

/// The timeout for the reply of Redis that is dropped.
const REPLY: Duration = Duration::from_secs(5);

/// A filter of the requests that lose their replies.
#[derive(Debug, Clone, Copy)]
pub struct Marker {
    /// Texts that all such requests contain.
    pub with: &'static [&'static str],
    /// Texts that other requests with these texts contain, and such requests do not.
    pub without: &'static [&'static str],
    /// The share of such requests that lose their reply, in percent.
    pub percent: u8,
}

/// A proxy; it ends when it is dropped.
#[derive(Debug)]
pub struct Proxy {
    address: SocketAddr,
    dropped: Arc<AtomicUsize>,
    task: JoinHandle<()>,
}

impl Proxy {
    /// Starts a proxy on a free port for `upstream`, a host and port.
    pub async fn start(upstream: String, marker: Marker, seed: u64) -> std::io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let (address, dropped) = (listener.local_addr()?, Arc::default());
        let task = tokio::spawn(serve(listener, upstream, marker, Rng::with_seed(seed), Arc::clone(&dropped)));
        Ok(Self { address, dropped, task })
    }

    /// Returns the address of the proxy.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Returns the number of requests that Redis executed and whose replies were dropped.
    pub fn dropped(&self) -> usize {
        self.dropped.load(Ordering::Relaxed)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(listener: TcpListener, upstream: String, marker: Marker, mut rng: Rng, dropped: Arc<AtomicUsize>) {
    let mut connections = JoinSet::new();
    while let Ok((client, _)) = listener.accept().await {
        let (upstream, rng, dropped) = (upstream.clone(), rng.fork(), Arc::clone(&dropped));
        connections.spawn(async move {
            // A side that has gone away ends the connection, as without a proxy.
            if forward(client, &upstream, marker, rng).await.unwrap_or_default() {
                dropped.fetch_add(1, Ordering::Relaxed);
            }
        });
    }
}

/// Forwards until one side ends or a reply is dropped. Returns true if a reply was dropped.
async fn forward(client: TcpStream, upstream: &str, marker: Marker, rng: Rng) -> std::io::Result<bool> {
    let server = TcpStream::connect(upstream).await?;
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    let (requests, mut answers) = client.into_split();
    let (mut replies, mut server) = server.into_split();
    let is_marked = tokio::select! {
        is_marked = forward_requests(requests, &mut server, marker, rng) => is_marked?,
        ended = tokio::io::copy(&mut replies, &mut answers) => {
            ended?;
            false
        }
    };
    if !is_marked {
        return Ok(false);
    }
    // Redis executes and answers all requests, and sees the end. None of its answers is forwarded.
    server.shutdown().await?;
    let mut nowhere = tokio::io::sink();
    let all = tokio::time::timeout(REPLY, tokio::io::copy(&mut replies, &mut nowhere)).await;
    Ok(all.is_ok_and(|read| read.is_ok_and(|bytes| bytes > 0)))
}

/// Forwards whole requests until the client ends or a request is to lose its reply. Returns true for the latter.
async fn forward_requests(
    mut requests: OwnedReadHalf,
    server: &mut OwnedWriteHalf,
    marker: Marker,
    mut rng: Rng,
) -> std::io::Result<bool> {
    let mut waiting = Vec::new();
    while requests.read_buf(&mut waiting).await? > 0 {
        while let Some(length) = request_length(&waiting) {
            let request: Vec<u8> = waiting.drain(..length).collect();
            server.write_all(&request).await?;
            if marker.is_in(&request) && rng.u8(..100) < marker.percent {
                return Ok(true);
            }
        }
    }
    Ok(false)
}

impl Marker {
    fn is_in(&self, request: &[u8]) -> bool {
        let has = |text: &&str| request.windows(text.len()).any(|window| window == text.as_bytes());
        self.with.iter().all(has) && !self.without.iter().any(has)
    }
}

/// Returns the length of the first request, or `None` if it is not complete. Source: the protocol specification of
/// Redis; a request is an array of bulk strings.
fn request_length(bytes: &[u8]) -> Option<usize> {
    let (strings, mut end) = number(bytes, 0, b'*')?;
    for _ in 0..strings {
        let (length, start) = number(bytes, end, b'$')?;
        end = start + length + 2;
    }
    (end <= bytes.len()).then_some(end)
}

/// Returns the number in the line that begins at `from` with `kind`, and the offset of the next line. A malformed
/// line never parses, so forwarding stops, which a test notices.
fn number(bytes: &[u8], from: usize, kind: u8) -> Option<(usize, usize)> {
    let line = bytes.get(from..)?;
    let end = line.windows(2).position(|window| window == b"\r\n")?;
    let digits = line[..end].strip_prefix(&[kind])?;
    Some((std::str::from_utf8(digits).ok()?.parse().ok()?, from + end + 2))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_known_when_all_of_it_is_there() {
        let ping = b"*1\r\n$4\r\nPING\r\n";
        let set = b"*3\r\n$3\r\nSET\r\n$5\r\na:\r\n$\r\n$0\r\n\r\n";
        let both = [&ping[..], set].concat();
        assert_eq!(request_length(&both), Some(ping.len()));
        assert_eq!(request_length(&both[ping.len()..]), Some(set.len()));
        for length in 0..set.len() {
            assert_eq!(request_length(&set[..length]), None, "{length}");
        }
    }

    #[test]
    fn a_marker_is_what_is_there_and_what_is_not() {
        let marker = Marker { with: &[":ready", ":wake"], without: &[":dead"], percent: 100 };
        assert!(marker.is_in(b"p:{q:01}:ready p:wake"));
        assert!(!marker.is_in(b"p:{q:01}:ready"));
        assert!(!marker.is_in(b"p:{q:01}:ready p:wake p:{q:01}:dead"));
    }

    #[tokio::test]
    async fn a_marked_request_arrives_and_its_reply_does_not() {
        let redis = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let marker = Marker { with: &["PUSH"], without: &[], percent: 100 };
        let proxy = Proxy::start(redis.local_addr().unwrap().to_string(), marker, 1).await.unwrap();
        let mut client = TcpStream::connect(proxy.address()).await.unwrap();
        let (mut server, _) = redis.accept().await.unwrap();
        let mut heard = [0; 64];

        client.write_all(b"*1\r\n$4\r\nPING\r\n").await.unwrap();
        assert_eq!(server.read(&mut heard).await.unwrap(), 14);
        server.write_all(b"+PONG\r\n").await.unwrap();
        assert_eq!(client.read(&mut heard).await.unwrap(), 7);

        client.write_all(b"*1\r\n$4\r\nPUSH\r\n").await.unwrap();
        assert_eq!(server.read(&mut heard).await.unwrap(), 14);
        server.write_all(b":1\r\n").await.unwrap();
        assert_eq!(server.read(&mut heard).await.unwrap(), 0);
        drop(server);
        assert_eq!(client.read(&mut heard).await.unwrap_or(0), 0);
        assert_eq!(proxy.dropped(), 1);
    }
}
