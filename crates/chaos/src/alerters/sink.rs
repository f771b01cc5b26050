//! A webhook that takes every message, and what it was told.

use std::{
    collections::{BTreeSet, HashMap},
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
};

use anyhow::Context;
use serde::Deserialize;
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream},
    task::{JoinHandle, JoinSet},
};

/// The name of the receiver.
pub(super) const NAME: &str = "sink";

/// The webhook; it ends when it is dropped.
#[derive(Debug)]
pub(super) struct Sink {
    address: SocketAddr,
    posts: Arc<Mutex<Vec<Post>>>,
    task: JoinHandle<()>,
}

/// A message as it came: its id, what it lists, and of how many alerts it tells in all.
type Post = (String, BTreeSet<(String, String)>, usize);

/// What came, by the ids of the messages.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Posts {
    /// Messages with an id that was new.
    pub(super) messages: u64,
    /// Messages with an id that had come before.
    pub(super) repeated: u64,
    /// Those of them that told of something that was not in it before.
    pub(super) changed: u64,
    /// Alerts that all messages tell of, those that were repeated once.
    pub(super) told: u64,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Payload {
    alerts: Vec<Item>,
    truncated_alerts: usize,
}

#[derive(Deserialize)]
struct Item {
    status: String,
    labels: HashMap<String, String>,
}

impl Sink {
    /// Starts one at a port of its own.
    pub(super) async fn start() -> anyhow::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let (address, posts) = (listener.local_addr()?, Arc::default());
        let task = tokio::spawn(serve(listener, Arc::clone(&posts)));
        Ok(Self { address, posts, task })
    }

    /// The config of alerters that tell it everything, in messages of what comes within half a
    /// second.
    pub(super) fn config(&self) -> String {
        let address = self.address;
        format!(
            "[[receiver]]\nname = \"{NAME}\"\ntype = \"webhook\"\nurl = \"http://{address}/\"\n\
             [[route]]\nreceiver = \"{NAME}\"\ngroup_wait = \"500ms\"\ngroup_interval = \"100ms\"\n"
        )
    }

    /// What has come.
    pub(super) fn posts(&self) -> Posts {
        summed_up(&self.posts.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Drop for Sink {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// A message that comes again leaves out what is marked as sent or resolved by then; and one of more
/// alerts than it lists may list others of them.
fn summed_up(posts: &[Post]) -> Posts {
    let (mut first, mut sum) = (HashMap::new(), Posts::default());
    for (id, listed, all) in posts {
        let known = first.entry(id).or_insert((listed, *all));
        let is_known = *all <= known.1 && (listed.is_subset(known.0) || known.1 > known.0.len());
        sum.changed += u64::from(!is_known);
    }
    sum.messages = first.len() as u64;
    sum.repeated = (posts.len() - first.len()) as u64;
    sum.told = first.values().map(|(_, all)| *all as u64).sum();
    sum
}

async fn serve(listener: TcpListener, posts: Arc<Mutex<Vec<Post>>>) {
    let mut connections = JoinSet::new();
    while let Ok((connection, _)) = listener.accept().await {
        let posts = Arc::clone(&posts);
        connections.spawn(async move {
            let mut connection = BufReader::new(connection);
            while let Ok(post) = receive(&mut connection).await {
                posts.lock().unwrap_or_else(PoisonError::into_inner).push(post);
                if connection.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await.is_err() {
                    break;
                }
            }
        });
    }
}

/// Reads one message of a connection.
async fn receive(connection: &mut BufReader<TcpStream>) -> anyhow::Result<Post> {
    let (mut id, mut length) = (String::new(), 0);
    loop {
        let mut line = String::new();
        anyhow::ensure!(connection.read_line(&mut line).await? > 0, "the connection is closed");
        if line.trim().is_empty() {
            break;
        }
        if let Some((name, value)) = line.split_once(':') {
            match name.to_ascii_lowercase().as_str() {
                "webhook-id" => value.trim().clone_into(&mut id),
                "content-length" => length = value.trim().parse()?,
                _ => {}
            }
        }
    }
    let mut body = vec![0; length];
    connection.read_exact(&mut body).await?;
    let Payload { alerts, truncated_alerts } = serde_json::from_slice(&body).context("reading a message")?;
    let all = alerts.len() + truncated_alerts;
    let item = |mut item: Item| (item.labels.remove("deviceId").unwrap_or_default(), item.status);
    Ok((id, alerts.into_iter().map(item).collect(), all))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn post(id: &str, listed: &[&str], all: usize) -> Post {
        (id.into(), listed.iter().map(|device| ((*device).to_owned(), "firing".into())).collect(), all)
    }

    #[test]
    fn a_message_that_comes_again_tells_nothing_new() {
        let posts = [post("1", &["a", "b"], 2), post("2", &["c"], 3), post("1", &["a", "b"], 2), post("2", &["d"], 3)];
        assert_eq!(summed_up(&posts), Posts { messages: 2, repeated: 2, changed: 0, told: 5 });
        assert_eq!(summed_up(&[posts[0].clone(), post("1", &["a"], 1)]).changed, 0);
        for other in [post("1", &["a", "c"], 2), post("1", &["a", "b"], 3)] {
            assert_eq!(summed_up(&[posts[0].clone(), other]).changed, 1);
        }
    }
}
