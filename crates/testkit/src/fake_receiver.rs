//! A fake receiver of notifications: records each request, and answers as the test configures.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex, PoisonError},
};

use serde_json::Value;
use tokio::{
    io::AsyncWriteExt,
    net::{TcpListener, TcpStream},
    sync::Notify,
    task::JoinHandle,
};

use crate::http_request::Request;

/// The answer to a request.
#[derive(Debug, Clone)]
pub enum Answer {
    /// A response with this status, these header lines (each with its end) and this body.
    Says(u16, String, String),
    /// A 200, sent when the test notifies.
    Waits(Arc<Notify>),
    /// No answer; the connection stays open.
    Hangs,
    /// No answer; the connection is closed.
    Cuts,
}

/// A request that was received.
#[derive(Debug, Clone)]
pub struct Received {
    /// The path.
    pub path: String,
    /// The headers; the names are in lower case.
    pub headers: HashMap<String, String>,
    /// The body.
    pub body: Vec<u8>,
}

/// A server on loopback that answers 200 unless the test sets other answers.
#[derive(Debug)]
pub struct FakeReceiver {
    url: String,
    state: Arc<Mutex<State>>,
    task: JoinHandle<()>,
}

#[derive(Debug, Default)]
struct State {
    answers: VecDeque<Answer>,
    received: Vec<Received>,
}

impl FakeReceiver {
    /// Starts a receiver on a free port.
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let state = Arc::new(Mutex::new(State::default()));
        let shared = state.clone();
        let task = tokio::spawn(async move {
            while let Ok((connection, _)) = listener.accept().await {
                tokio::spawn(serve(connection, shared.clone()));
            }
        });
        Self { url, state, task }
    }

    /// Returns its URL.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Answers the next requests with these, in this order.
    pub fn answers(&self, answers: impl IntoIterator<Item = Answer>) {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).answers.extend(answers);
    }

    /// Returns all requests so far, oldest first.
    pub fn received(&self) -> Vec<Received> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).received.clone()
    }
}

impl Drop for FakeReceiver {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Received {
    fn of(request: &Request) -> Option<Self> {
        let head = request.head();
        let mut lines = head.lines();
        let path = lines.next()?.split(' ').nth(1)?.to_owned();
        let pair = |line: &str| line.split_once(": ").map(|(name, value)| (name.to_lowercase(), value.to_owned()));
        Some(Self { path, headers: lines.filter_map(pair).collect(), body: request.body().to_vec() })
    }

    /// Returns the body as JSON.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).expect("JSON")
    }
}

/// Serves one connection with one request.
async fn serve(mut connection: TcpStream, state: Arc<Mutex<State>>) -> Option<()> {
    let received = Received::of(&Request::read(&mut connection).await?)?;
    let answer = {
        let mut state = state.lock().unwrap_or_else(PoisonError::into_inner);
        state.received.push(received);
        state.answers.pop_front().unwrap_or(Answer::Says(200, String::new(), String::new()))
    };
    match answer {
        Answer::Says(status, headers, body) => say(&mut connection, status, &headers, &body).await,
        Answer::Waits(signal) => {
            signal.notified().await;
            say(&mut connection, 200, "", "").await
        }
        Answer::Hangs => std::future::pending().await,
        Answer::Cuts => Some(()),
    }
}

async fn say(connection: &mut TcpStream, status: u16, headers: &str, body: &str) -> Option<()> {
    let head = format!("HTTP/1.1 {status} x\r\nconnection: close\r\ncontent-length: {}\r\n{headers}\r\n", body.len());
    connection.write_all(format!("{head}{body}").as_bytes()).await.ok()
}
