//! Stored data for tests of reads, written as workers would, without running them.

use std::collections::{BTreeMap, HashMap, HashSet};

use jiff::{SignedDuration, Timestamp};
use pisync_core::{
    models::{
        Alert, AlertState, DeviceId, EventId, FailureCounter, FailureRun, Incident, NotificationKind, OutboxEntry,
        Silence, SilenceEnd, SyncEvent,
    },
    presence::LastSeen,
    queue::encode,
    store::{Revision, Saved, VersionedIncident},
};
use reqwest::StatusCode;
use serde_json::Value;

use crate::{Api, TestEnv, body, hours_ago};

/// Returns the id of a device.
pub fn device(id: &str) -> DeviceId {
    DeviceId::parse(id).expect("a name")
}

/// Returns an event of a device, received at its own time.
pub fn event(device_id: &str, at: Timestamp, failed: bool) -> (EventId, SyncEvent) {
    let event = SyncEvent::from_json(body(device_id, at, failed).to_string().as_bytes(), at).expect("a report");
    (event.id(), event)
}

/// Returns events of a device that share their time of receipt, since its clock is wrong.
pub fn tied(device_id: &str, at: Timestamp, count: i64) -> Vec<(EventId, SyncEvent)> {
    let event = |i| {
        let bad_clock = Timestamp::from_second(at.as_second() / 3_600 % 10_000 * 10_000 + i).expect("a time");
        SyncEvent::from_json(body(device_id, bad_clock, false).to_string().as_bytes(), at).expect("a report")
    };
    (0..count).map(event).map(|event| (event.id(), event)).collect()
}

/// Pushes reports to the queue with these times of receipt.
pub async fn push(env: &TestEnv, reports: &[(Value, Timestamp)]) {
    let queue = env.queue();
    for (report, received_at) in reports {
        let event = SyncEvent::from_json(report.to_string().as_bytes(), *received_at).expect("a report");
        let pushed = queue.push(queue.partition_of(&event.device_id), &[encode(&event)], 10_000).await.expect("Redis");
        assert_eq!(pushed.accepted, 1);
    }
}

/// Stores rows.
pub async fn store_events(env: &TestEnv, events: &[(EventId, SyncEvent)]) {
    let store = env.store().await;
    store.ensure_indexes().await.expect("MongoDB");
    for some in events.chunks(5_000) {
        store.sync_events().insert(some).await.expect("MongoDB");
    }
}

/// Returns a counter with so many failed syncs, the first 30 hours ago; a good one 40 hours ago.
pub fn counter(device_id: &str, failures: i32) -> FailureCounter {
    let run = FailureRun { count: failures, since: hours_ago(30), last_at: hours_ago(1), last_speed: 0.2 };
    FailureCounter {
        run: (failures > 0).then_some(run),
        last_success_at: Some(hours_ago(40)),
        watermark: Some(hours_ago(1)),
        ..FailureCounter::new(device(device_id))
    }
}

/// Stores rows, and counters with their labels, of devices that have none.
pub async fn store_labelled(env: &TestEnv, events: &[(EventId, SyncEvent)]) {
    store_events(env, events).await;
    store_counters(env, labelled(events)).await;
}

/// Returns a counter with the labels of each event.
pub fn labelled(events: &[(EventId, SyncEvent)]) -> Vec<FailureCounter> {
    let counter = |(_, event): &(EventId, SyncEvent)| FailureCounter {
        labels: event.details.labels.clone(),
        ..FailureCounter::new(event.device_id.clone())
    };
    events.iter().map(counter).collect()
}

/// Stores counters of devices that have none.
pub async fn store_counters(env: &TestEnv, counters: Vec<FailureCounter>) {
    let store = env.store().await;
    store.ensure_indexes().await.expect("MongoDB");
    let counters: Vec<_> = counters.into_iter().map(|counter| (counter, Revision::Unset)).collect();
    for some in counters.chunks(1_000) {
        assert_eq!(store.failure_counters().save(some, &HashMap::new()).await.expect("MongoDB"), Saved::All);
    }
}

/// Sets the last-seen time of devices.
pub async fn heard_of(env: &TestEnv, devices: &[(&str, Timestamp)]) {
    let devices: Vec<_> = devices.iter().map(|(id, at)| (device(id), *at)).collect();
    LastSeen::new(env.queue()).restore(&devices).await.expect("Redis");
}

/// Sets the heartbeat of one alerter: its last tick so long ago, its next one due so long after now. Removes those of
/// others.
pub async fn alerter_ticked(env: &TestEnv, ago: SignedDuration, due_in: SignedDuration) {
    for field in env.redis(&["HKEYS", "{}:heartbeat"]).await.lines().filter(|field| field.starts_with("due:")) {
        env.redis(&["HDEL", "{}:heartbeat", field]).await;
    }
    let millis = |at: Timestamp| at.as_millisecond().to_string();
    let now = crate::clock();
    let (last, due) = (millis(now - ago), millis(now + due_in));
    env.redis(&["HSET", "{}:heartbeat", "alerter", &last, "due:test", &due]).await;
}

/// Returns the incident of a failing device, at its beginning.
pub fn failing(device_id: &str) -> Incident {
    let (since, last_speed) = (hours_ago(2), 0.2);
    let run = FailureRun { count: 3, since, last_at: since, last_speed };
    Incident::new(Alert::device_sync_failing(device(device_id), &run), since)
}

/// Stores an incident of a device that began at `since`, with a message to the log in its outbox. If `is_over`, it is
/// resolved and has no message.
pub async fn incident(env: &TestEnv, device_id: &str, since: Timestamp, is_over: bool) -> Alert {
    let run = FailureRun { count: 3, since, last_at: since, last_speed: 0.2 };
    let alert = Alert::device_sync_failing(device(device_id), &run);
    let mut incident = Incident::new(alert.clone(), since);
    if is_over {
        incident.alert.state = AlertState::Resolved;
        incident.alert.ends_at = Some(since);
    } else {
        incident.last_seq = 1;
        incident.outbox.push(firing_to_the_log(since));
    }
    save(env, incident).await;
    alert
}

fn firing_to_the_log(due_since: Timestamp) -> OutboxEntry {
    OutboxEntry::new(1, NotificationKind::Firing, "log".into(), BTreeMap::new(), due_since)
}

/// Stores an incident that is not there yet.
pub async fn save(env: &TestEnv, incident: Incident) {
    let new = VersionedIncident { incident, revision: Revision::Unset };
    assert_eq!(env.store().await.alerts().save(&[new]).await.expect("MongoDB"), Saved::All);
}

/// Stores a silence that lasts until its incident is resolved.
pub async fn silence(env: &TestEnv, matcher: &str) {
    let silences = env.store().await.silences();
    let silence = Silence {
        id: silences.new_id(),
        matchers: vec![matcher.parse().expect("a matcher")],
        starts_at: hours_ago(1),
        end: SilenceEnd::Resolved { has_matched: false },
        by: "me".into(),
        comment: "a test".into(),
        created_at: hours_ago(1),
    };
    silences.add(&silence).await.expect("MongoDB");
}

/// Returns all items of a list, by its cursors. Panics if an item comes twice.
pub async fn all(api: &Api, path: &str, id: &str) -> Vec<Value> {
    let (mut items, mut seen, mut cursor) = (Vec::new(), HashSet::new(), String::new());
    for _ in 0..1_000 {
        let (status, page) = api.get(&format!("{path}{cursor}")).await;
        assert_eq!(status, StatusCode::OK, "{page}");
        for item in page["items"].as_array().expect("items") {
            assert!(seen.insert(item[id].to_string()), "{item} came twice");
            items.push(item.clone());
        }
        match page["nextCursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return items,
        }
    }
    panic!("the list {path} has no end")
}

/// Returns one member of each item of a list.
pub fn column<'a>(items: &'a [Value], name: &str) -> Vec<&'a str> {
    items.iter().map(|item| item[name].as_str().expect("a text")).collect()
}

/// Makes a bad request. Returns the status and the pointer of the first error.
pub async fn pointed_at(api: &Api, path: &str) -> (u16, String) {
    let (status, problem) = api.get(path).await;
    assert_eq!(problem["success"], false, "{path}: {problem}");
    (status.as_u16(), problem["errors"][0]["pointer"].as_str().unwrap_or("none").to_owned())
}
