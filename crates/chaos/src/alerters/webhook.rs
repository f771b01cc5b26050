//! The messages to a webhook that accepts them all.

use std::collections::{BTreeSet, HashMap};

use anyhow::Context;
use serde::Deserialize;
use testkit::{FakeReceiver, Received};

/// The name of the receiver.
pub(super) const NAME: &str = "sink";

/// A message: its id, its listed alerts, and the number of all its alerts.
type Post = (String, BTreeSet<(String, String)>, usize);

/// Counts of the received messages, by id.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Posts {
    /// Messages with a new id.
    pub(super) messages: u64,
    /// Messages with the id of an earlier one.
    pub(super) repeated: u64,
    /// Messages with the id of an earlier one and an alert that it did not have.
    pub(super) changed: u64,
    /// Alerts in all messages, without repeated messages.
    pub(super) alerts: u64,
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
    /// Counts the messages that a webhook has received.
    pub(super) fn to(webhook: &FakeReceiver) -> anyhow::Result<Self> {
        Ok(summed_up(&webhook.received().iter().map(post).collect::<anyhow::Result<Vec<_>>>()?))
    }
}

/// Returns the config of alerters: a webhook gets all messages, which group the alerts of half a second.
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

/// Counts messages. A repeated message may leave out alerts that were marked as sent or resolved meanwhile. If it has
/// more alerts than it lists, it may list others.
fn summed_up(posts: &[Post]) -> Posts {
    let (mut first, mut sum) = (HashMap::new(), Posts::default());
    for (id, listed, all) in posts {
        let known = first.entry(id).or_insert((listed, *all));
        let is_known = *all <= known.1 && (listed.is_subset(known.0) || known.1 > known.0.len());
        sum.changed += u64::from(!is_known);
    }
    sum.messages = first.len() as u64;
    sum.repeated = (posts.len() - first.len()) as u64;
    sum.alerts = first.values().map(|(_, all)| *all as u64).sum();
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
        assert_eq!(summed_up(&posts), Posts { messages: 2, repeated: 2, changed: 0, alerts: 5 });
        assert_eq!(summed_up(&[posts[0].clone(), post("1", &["a"], 1)]).changed, 0);
        for other in [post("1", &["a", "c"], 2), post("1", &["a", "b"], 3)] {
            assert_eq!(summed_up(&[posts[0].clone(), other]).changed, 1);
        }
    }
}
