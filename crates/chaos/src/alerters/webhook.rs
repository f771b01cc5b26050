//! What came to a webhook that takes every message.

use std::collections::{BTreeSet, HashMap};

use anyhow::Context;
use serde::Deserialize;
use testkit::{FakeReceiver, Received};

/// The name of the receiver.
pub(super) const NAME: &str = "sink";

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

impl Posts {
    /// What has come to a webhook.
    pub(super) fn to(webhook: &FakeReceiver) -> anyhow::Result<Self> {
        Ok(summed_up(&webhook.received().iter().map(post).collect::<anyhow::Result<Vec<_>>>()?))
    }
}

/// Returns the config of alerters that tell a webhook everything, in messages of what comes within half a
/// second.
pub(super) fn config(webhook: &FakeReceiver) -> String {
    let url = webhook.url();
    format!(
        "[[receiver]]\nname = \"{NAME}\"\ntype = \"webhook\"\nurl = \"{url}/\"\n\
         [[route]]\nreceiver = \"{NAME}\"\ngroup_wait = \"500ms\"\ngroup_interval = \"100ms\"\n"
    )
}

fn post(received: &Received) -> anyhow::Result<Post> {
    let id = received.headers.get("webhook-id").cloned().context("a message without an id")?;
    let Payload { alerts, truncated_alerts } = serde_json::from_slice(&received.body).context("reading a message")?;
    let all = alerts.len() + truncated_alerts;
    let item = |mut item: Item| (item.labels.remove("deviceId").unwrap_or_default(), item.status);
    Ok((id, alerts.into_iter().map(item).collect(), all))
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
