//! A real Alertmanager: pushed alerts fire there and are resolved, and its webhooks have the form of ours.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use alerter::{
    notification::{AlertNotification, Delivery},
    routing::Routing,
};
use jiff::Timestamp;
use pisync_core::{
    models::{Alert, AlertState, Incident, NotificationKind, SentNotification},
    store::{Saved, Store},
};
use serde_json::Value;
use testkit::{
    AlertmanagerServer, Answer, FakeReceiver, TestEnv, hours_ago,
    world::{counter, incident, store_counters},
};
use tokio::sync::Notify;

use crate::receivers::{message, notice, receivers};

/// Returns a config with it, which gets firing alerts again every second.
fn pushing(env: &TestEnv, server: &AlertmanagerServer, more: &str) -> Routing {
    let keys = "name = \"there\"\ntype = \"alertmanager\"\nresend = \"1s\"\nresolve_after = \"3s\"\n";
    receivers(env, &format!("[[receiver]]\n{keys}urls = [\"{}\"]\n{more}", server.url()))
}

async fn fires(env: &TestEnv, server: &AlertmanagerServer, count: usize) -> Vec<Value> {
    env.until("alerts in Alertmanager", async || server.firing().await.len() == count).await;
    server.firing().await
}

/// Returns the differences in form: members, and their types.
fn differences(path: &str, theirs: &Value, ours: &Value) -> Vec<String> {
    match (theirs, ours) {
        (Value::Object(theirs), Value::Object(ours)) => {
            let names: std::collections::BTreeSet<_> = theirs.keys().chain(ours.keys()).collect();
            let null = Value::Null;
            let of = |object: &serde_json::Map<String, Value>, name: &str| object.get(name).unwrap_or(&null).clone();
            let parts = names
                .into_iter()
                .map(|name| differences(&format!("{path}/{name}"), &of(theirs, name), &of(ours, name)));
            parts.flatten().collect()
        }
        (Value::Array(theirs), Value::Array(ours)) if theirs.len() == ours.len() => {
            theirs.iter().zip(ours).flat_map(|(theirs, ours)| differences(&format!("{path}/0"), theirs, ours)).collect()
        }
        _ if theirs == ours || is_same_time(theirs, ours) => Vec::new(),
        _ => vec![format!("{path}: {theirs} there, {ours} here")],
    }
}

/// Alertmanager leaves out the zeros at the end of a time.
fn is_same_time(theirs: &Value, ours: &Value) -> bool {
    let time = |value: &Value| value.as_str().and_then(|text| text.parse::<Timestamp>().ok());
    time(theirs).is_some() && time(theirs) == time(ours)
}

#[tokio::test]
async fn what_is_pushed_fires_there_and_is_resolved_and_our_webhook_says_what_its_own_does() {
    let (env, fake_receiver) = (TestEnv::new(), FakeReceiver::start().await);
    let server = AlertmanagerServer::start(env.path("alertmanager"), fake_receiver.url()).await;
    let webhook = format!("[[receiver]]\nname = \"people\"\ntype = \"webhook\"\nurl = \"{}\"\n", fake_receiver.url());
    let receivers = pushing(&env, &server, &webhook);
    let firing = notice("école 7 \"x\"", NotificationKind::Firing);
    let mut resolved = AlertNotification { kind: NotificationKind::Resolved, ..firing.clone() };
    resolved.alert.ends_at = Some(hours_ago(1));
    for (seen, notice) in [firing, resolved].into_iter().enumerate() {
        assert_eq!(receivers.send(&message(vec![notice.clone()])).await, Delivery::Sent);
        let there = fires(&env, &server, 1 - seen).await;
        if seen == 0 {
            assert_eq!(there[0]["labels"]["deviceId"], "école 7 \"x\"");
            assert_eq!(there[0]["annotations"]["cause"], "connectivity");
        }
        env.until("its webhook", async || fake_receiver.received().len() == 2 * seen + 1).await;
        let mut ours = message(vec![notice]);
        ours.receiver = "people".into();
        assert_eq!(receivers.send(&ours).await, Delivery::Sent);
        let (theirs, ours) = (fake_receiver.received()[2 * seen].json(), fake_receiver.received()[2 * seen + 1].json());
        let mut differences = differences("", &theirs, &ours);
        // It shows its own address.
        differences.retain(|difference| !difference.starts_with("/externalURL: "));
        assert!(differences.is_empty(), "{differences:#?}");
        assert!(ours["externalURL"].is_string() && theirs["externalURL"].is_string());
    }
    env.remove().await;
}

fn told() -> SentNotification {
    SentNotification { receiver: "there".into(), group: BTreeMap::new(), at: hours_ago(2), is_resolved: false }
}

async fn change(store: &Store, alert: &Alert, change: impl FnOnce(&mut Incident)) {
    let mut kept = store.alerts().find(alert.id).await.unwrap().unwrap();
    change(&mut kept.incident);
    assert_eq!(store.alerts().save(&[kept]).await.unwrap(), Saved::All);
}

#[tokio::test]
async fn an_open_incident_is_kept_alive_there_even_if_it_forgets_and_ends_when_nobody_does() {
    let (env, fake_receiver) = (TestEnv::new(), FakeReceiver::start().await);
    let mut server = AlertmanagerServer::start(env.path("alertmanager"), fake_receiver.url()).await;
    let (receivers, store) = (pushing(&env, &server, ""), env.store().await);
    store.ensure_indexes().await.unwrap();
    let alert = incident(&env, "pibook-1", hours_ago(3), false).await;
    receivers.keep_alive(&store).await;
    assert_eq!(server.firing().await.len(), 0, "nobody was told there");
    change(&store, &alert, |incident| incident.notified.push(told())).await;
    assert_eq!(receivers.keep_alive(&store).await, Some(Duration::from_secs(1)));
    fires(&env, &server, 1).await;

    // Longer than it would live by itself.
    let start = testkit::stopwatch();
    while start.elapsed() < Duration::from_secs(4) {
        receivers.keep_alive(&store).await;
        assert_eq!(server.firing().await.len(), 1);
        testkit::pass(Duration::from_millis(200)).await;
    }
    server.restart().await;
    assert_eq!(server.firing().await.len(), 0);
    receivers.keep_alive(&store).await;
    fires(&env, &server, 1).await;
    fires(&env, &server, 0).await;

    change(&store, &alert, |incident| incident.silenced_by.push(alert.id)).await;
    let other = incident(&env, "pibook-2", hours_ago(3), false).await;
    change(&store, &other, |incident| incident.notified.push(told())).await;
    receivers.keep_alive(&store).await;
    assert_eq!(fires(&env, &server, 1).await[0]["labels"]["deviceId"], "pibook-2", "the other is silenced");
    env.remove().await;
}

#[tokio::test]
async fn what_ends_while_it_is_pushed_again_is_told_as_ended_at_once() {
    let (env, fake_receiver) = (TestEnv::new(), FakeReceiver::start().await);
    let keys = "name = \"there\"\ntype = \"alertmanager\"\n";
    let receivers = receivers(&env, &format!("[[receiver]]\n{keys}urls = [\"{}\"]\n", fake_receiver.url()));
    let store = env.store().await;
    store.ensure_indexes().await.unwrap();
    let alert = incident(&env, "pibook-1", hours_ago(3), false).await;
    change(&store, &alert, |incident| incident.notified.push(told())).await;
    let taken = Arc::new(Notify::new());
    fake_receiver.answers([Answer::Waits(Arc::clone(&taken))]);
    let ends = async {
        env.until("a push", async || fake_receiver.received().len() == 1).await;
        change(&store, &alert, |incident| incident.alert.state = AlertState::Resolved).await;
        taken.notify_one();
    };
    tokio::join!(receivers.keep_alive(&store), ends);
    let end =
        |at: usize| fake_receiver.received()[at].json()[0]["endsAt"].as_str().unwrap().parse::<Timestamp>().unwrap();
    assert!(end(0) > testkit::clock() && end(1) <= testkit::clock());
    env.remove().await;
}

#[tokio::test]
async fn an_alerter_keeps_alive_there_what_it_has_told() {
    let (env, fake_receiver) = (TestEnv::new(), FakeReceiver::start().await);
    let server = AlertmanagerServer::start(env.path("alertmanager"), fake_receiver.url()).await;
    drop(pushing(&env, &server, ""));
    store_counters(&env, vec![counter("pibook-1", 3)]).await;
    let file = env.path("alerts.toml").display().to_string();
    let _alerter = env.alerter("alerter.log", &["--schedule", "0 0 29 2 1", "--config", &file]).await;
    fires(&env, &server, 1).await;
    // Longer than it would live there after one push.
    let start = testkit::stopwatch();
    while start.elapsed() < Duration::from_secs(5) {
        assert_eq!(server.firing().await.len(), 1);
        testkit::pass(Duration::from_millis(200)).await;
    }
    env.finish().await;
}
