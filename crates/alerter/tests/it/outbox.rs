//! Sending of messages: the reads for them, their senders, and the clock that they wait by.

use std::path::PathBuf;

use alerter::device_context::{self, DeviceContext};
use jiff::{SignedDuration, Timestamp};
use pisync_core::models::{Alert, FailureRun, NotificationKind};
use serde_json::{Value, json};
use testkit::{
    Answer, FakeReceiver, MongoServer, Service, TestEnv, asked_by, hours_ago, mongo_admin, mongo_find, profile,
    world::{counter, device, event, store_counters, store_events},
};

/// A schedule that never comes: there is a tick at the start alone.
const NEVER: [&str; 2] = ["--schedule", "0 0 29 2 1"];

/// The number of consecutive failures of devices, in turn: fewer than the rows that are read, and more.
const FAILED: [i64; 3] = [3, 30, 30];

/// Returns an hour so long before another.
fn before(now: Timestamp, hours: i64) -> Timestamp {
    now - SignedDuration::from_hours(hours)
}

/// Returns the alerts of fifty devices that have failed every hour until now. Of three, one has not had a good
/// sync yet. The others have many, of which a message needs the newest alone.
async fn failing(env: &TestEnv, now: Timestamp) -> Vec<(NotificationKind, Alert)> {
    let (mut events, mut counters, mut told) = (Vec::new(), Vec::new(), Vec::new());
    for (i, failed) in (0..50).zip(FAILED.into_iter().cycle()) {
        let id = format!("pibook-{i:02}");
        events.extend((1..=failed).map(|hours| event(&id, before(now, hours), true)));
        let run = FailureRun { count: 3, since: before(now, failed), last_at: before(now, 1), last_speed: 97.5 };
        let mut counter = counter(&id, 3);
        counter.last_success_at = (i % 3 < 2).then(|| before(now, failed + 1));
        if i % 3 < 2 {
            events.extend((1..=100).map(|hours| event(&id, before(now, failed + hours), false)));
        }
        counters.push(counter);
        told.push((NotificationKind::Firing, Alert::device_sync_failing(device(&id), &run)));
    }
    store_events(env, &events).await;
    store_counters(env, counters).await;
    told
}

fn is_about(at: Option<Timestamp>, expected: Option<Timestamp>) -> bool {
    at.map(Timestamp::as_millisecond) == expected.map(Timestamp::as_millisecond)
}

#[tokio::test]
async fn what_people_want_to_know_of_fifty_alerts_is_asked_for_three_times_and_of_an_end_never() {
    let (env, now) = (TestEnv::new(), hours_ago(0));
    let told = failing(&env, now).await;
    let store = env.store().await;
    profile(&env).await;

    let mut over = told[0].1.clone();
    over.ends_at = Some(now);
    let facts = device_context::read(&store, &[(NotificationKind::Resolved, over)]).await;
    assert_eq!(facts, [DeviceContext { last_good_sync: Some(now), ..DeviceContext::default() }]);
    assert_eq!(asked_by(&env, "e2e").await, [Value::Null; 0]);

    let facts = device_context::read(&store, &told).await;
    for (i, (facts, failed)) in facts.iter().zip(FAILED.into_iter().cycle()).enumerate() {
        let errors: Vec<_> = facts.last_errors.iter().map(|error| error.at).collect();
        let newest = (1..=3).map(|hours| Some(before(now, hours)));
        assert!(errors.len() == 3 && errors.iter().zip(newest).all(|(at, newest)| is_about(Some(*at), newest)), "{i}");
        let good = (i % 3 < 2).then(|| before(now, failed + 1));
        assert!(is_about(facts.last_good_sync, good), "{i}: {:?} {good:?}", facts.last_good_sync);
        assert_eq!(facts.usual_speed.is_some(), good.is_some());
    }
    let asked = asked_by(&env, "e2e").await;
    assert_eq!(asked.len(), 3, "{asked:#?}");
    for entry in &asked {
        let examined = entry["docsExamined"].as_u64().unwrap();
        assert!(examined <= 50 * 21 && !entry["planSummary"].to_string().contains("COLLSCAN"), "{entry:#}");
    }
    env.finish().await;
}

/// Starts an alerter with a log of its own for the process, and an alert log shared by all.
async fn alerter(env: &TestEnv, name: &str, args: &[&str], variables: &[(&str, &str)]) -> Service {
    let log = env.path("alerts.log").display().to_string();
    let mut command = env.command("alerter", &[&NEVER[..], &["--alert-log", &log], args].concat());
    command.envs(variables.iter().copied());
    let mut alerter = Service::start(command, &env.path(name));
    alerter.says("watching").await;
    alerter
}

/// Each message takes a third of a second. So all take much longer than the lease, and none is so long that its
/// lease is renewed meanwhile.
#[tokio::test]
async fn a_run_of_messages_longer_than_a_lease_has_one_sender() {
    let folder = tempfile::tempdir().unwrap();
    let options = ["--setParameter", "enableTestCommands=1"];
    let server = MongoServer::start_with(folder.path().to_owned(), &options).await;
    let env = TestEnv::on_mongo(&server);
    store_counters(&env, (0..600).map(|i| counter(&format!("pibook-{i:03}"), 3)).collect()).await;
    let slow = json!({ "failCommands": ["update"], "blockConnection": true, "blockTimeMS": 150, "appName": "slow" });
    let slow = json!({ "mode": "alwaysOn", "data": slow });
    mongo_admin(&server.uri(), "configureFailPoint", "failCommand", slow).await;
    let (lease, uri) = (["--lease-ms", "1500"], format!("{}&appName=slow", server.uri()));
    let _slow = alerter(&env, "slow.log", &lease, &[("PISYNC_MONGO_URI", &uri)]).await;
    env.has_alerts(1).await;
    let _quick = alerter(&env, "quick.log", &lease, &[]).await;
    env.until("messages that left", async || {
        env.alerts().len() >= 600
            && mongo_find(&env, "Alert", json!({ "outboxDueAt": { "$exists": true } })).await.is_empty()
    })
    .await;
    let mut devices: Vec<_> = env.alerts().iter().map(|line| line["deviceId"].as_str().unwrap().to_owned()).collect();
    devices.sort_unstable();
    devices.dedup();
    assert_eq!((env.alerts().len(), devices.len()), (600, 600));
    env.finish().await;
}

/// Builds a library that, loaded before all others, makes a program's clock ten minutes fast.
async fn fast_clock(env: &TestEnv) -> PathBuf {
    const SOURCE: &str = r#"
#define _GNU_SOURCE
#include <dlfcn.h>
#include <time.h>
int clock_gettime(clockid_t clock, struct timespec *now) {
    static int (*tell)(clockid_t, struct timespec *);
    if (!tell) tell = (int (*)(clockid_t, struct timespec *)) dlsym(RTLD_NEXT, "clock_gettime");
    int status = tell(clock, now);
    if (clock == CLOCK_REALTIME) now->tv_sec += 600;
    return status;
}
"#;
    let (source, library) = (env.path("clock.c"), env.path("clock.so"));
    std::fs::write(&source, SOURCE).unwrap();
    let mut compile = tokio::process::Command::new("cc");
    compile.args(["-shared", "-fPIC", "-o"]).args([&library, &source]).arg("-ldl");
    assert!(compile.status().await.unwrap().success());
    library
}

#[tokio::test]
async fn an_alerter_whose_clock_is_fast_waits_by_that_of_the_database() {
    let (env, fake_receiver) = (TestEnv::new(), FakeReceiver::start().await);
    let config = format!(
        "[[receiver]]\nname = \"there\"\ntype = \"webhook\"\nurl = \"{}\"\n\n\
         [[route]]\nreceiver = \"there\"\ngroup_wait = \"1s\"\ngroup_interval = \"0s\"\n",
        fake_receiver.url(),
    );
    std::fs::write(env.path("alerts.toml"), config).unwrap();
    let (file, clock) = (env.path("alerts.toml").display().to_string(), fast_clock(&env).await.display().to_string());
    fake_receiver.answers([Answer::Says(500, String::new(), String::new())]);
    store_counters(&env, vec![counter("pibook-1", 3)]).await;
    let _alerter = alerter(&env, "alerter.log", &["--config", &file], &[("LD_PRELOAD", &clock)]).await;
    let line = env.has_alerts(1).await.remove(0);
    let written: Timestamp = line["time"].as_str().unwrap().parse().unwrap();
    assert!(written.duration_since(testkit::clock()).as_secs() > 500, "its clock is right: {line}");
    // The first waits for others of its group, the second since it was not accepted.
    env.until("two messages", async || fake_receiver.received().len() == 2).await;
    env.finish().await;
}
