//! A captive portal, a faulty proxy or a broken line between a device and the API. It answers some requests by
//! itself, and forwards the rest.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, PoisonError},
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};

use crate::http_request::Request;

/// The fault that a request meets.
#[derive(Debug, Clone)]
pub enum Interference {
    /// The portal answers with this status, these header lines (each with its end) and this body.
    Answers(u16, String, String),
    /// The connection ends without an answer.
    Cuts,
    /// The request is forwarded, and the connection ends without the answer.
    LosesTheAnswer,
}

/// A portal on loopback; it ends when it is dropped.
#[derive(Debug)]
pub struct Portal {
    url: String,
    queue: Arc<Mutex<VecDeque<Interference>>>,
    task: JoinHandle<()>,
}

/// A fault for each request that contains a text.
type Always = Option<(&'static str, Interference)>;

impl Portal {
    /// Starts a portal for an API, such as `http://127.0.0.1:40123`, with one fault per request, then none.
    pub async fn start(api: &str, interferences: impl IntoIterator<Item = Interference>) -> Self {
        Self::begin(api, interferences, None).await
    }

    /// Starts a portal with one fault for each request that contains `text`. It forwards the others.
    pub async fn against(api: &str, text: &'static str, interference: Interference) -> Self {
        Self::begin(api, [], Some((text, interference))).await
    }

    async fn begin(api: &str, interferences: impl IntoIterator<Item = Interference>, always: Always) -> Self {
        let upstream = api.trim_start_matches("http://").to_owned();
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let queue = Arc::new(Mutex::new(interferences.into_iter().collect()));
        let shared: Arc<Mutex<VecDeque<Interference>>> = Arc::clone(&queue);
        let task = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let (upstream, queue, always) = (upstream.clone(), Arc::clone(&shared), always.clone());
                tokio::spawn(async move { serve(client, &upstream, &queue, always).await });
            }
        });
        Self { url, queue, task }
    }

    /// Returns its URL.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Returns the number of faults that are left.
    pub fn left(&self) -> usize {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner).len()
    }
}

impl Drop for Portal {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Serves one request, then ends the connection.
async fn serve(
    mut client: TcpStream,
    upstream: &str,
    queue: &Mutex<VecDeque<Interference>>,
    always: Always,
) -> Option<()> {
    let request = Request::read(&mut client).await?.bytes;
    let next = queue.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
    let text = String::from_utf8_lossy(&request);
    match next.or(always.filter(|(about, _)| text.contains(about)).map(|(_, interference)| interference)) {
        Some(Interference::Answers(status, headers, body)) => {
            let length = body.len();
            let answer = format!(
                "HTTP/1.1 {status} As A Portal Says\r\n{headers}Content-Length: {length}\r\nConnection: close\r\n\r\n{body}"
            );
            client.write_all(answer.as_bytes()).await.ok()?;
        }
        Some(Interference::Cuts) => {}
        Some(Interference::LosesTheAnswer) => _ = forward(&request, upstream).await?,
        None => client.write_all(&forward(&request, upstream).await?).await.ok()?,
    }
    client.shutdown().await.ok()
}

/// Forwards a request. Returns the whole answer of the API.
async fn forward(request: &[u8], upstream: &str) -> Option<Vec<u8>> {
    let mut server = TcpStream::connect(upstream).await.ok()?;
    let line = request.windows(2).position(|window| window == b"\r\n")? + 2;
    let (first, rest) = request.split_at(line);
    // Without it neither the connection nor the answer would end.
    let head = String::from_utf8_lossy(rest).replace("onnection: keep-alive", "onnection: close");
    let close = if head.to_lowercase().contains("connection: close") { "" } else { "Connection: close\r\n" };
    for part in [first, close.as_bytes(), head.as_bytes()] {
        server.write_all(part).await.ok()?;
    }
    let mut answer = Vec::new();
    server.read_to_end(&mut answer).await.ok()?;
    Some(answer)
}
