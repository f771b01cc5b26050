//! From the counter to the message: one when it fires, one when it is resolved.

use jiff::{SignedDuration, Timestamp};
use pisync_core::{
    models::{Alert, AlertName, FailureRun, Incident, NotificationKind, OutboxEntry, Subject},
    store::{Revision, Saved, VersionedIncident},
};
use serde_json::{Value, json};
use testkit::{
    AlerterHarness, Api, TestEnv, body, hours_ago, mongo_command,
    world::{device, incident},
};

/// A schedule that never comes: only hints start evaluations.
const NEVER: [&str; 2] = ["--schedule", "0 0 29 2 1"];

fn minutes_ago(minutes: i64) -> Timestamp {
    testkit::now() - SignedDuration::from_mins(minutes)
}

async fn fails(api: &Api, device_id: &str, minutes: &[i64]) {
    let reports: Vec<_> = minutes.iter().map(|minutes| body(device_id, minutes_ago(*minutes), true)).collect();
    api.accepts(&reports).await;
}

fn of<'a>(lines: &'a [Value], status: &str) -> Vec<&'a Value> {
    lines.iter().filter(|line| line["status"] == status).collect()
}

#[tokio::test]
async fn three_failures_are_one_message_and_the_recovery_another_with_two_alerters() {
    let env = TestEnv::new();
    let (api, _worker) = (env.api(&[]).await, env.work().await);
    let _alerters = (env.alerter("one.log", &NEVER).await, env.alerter("two.log", &NEVER).await);
    fails(&api, "pibook-1", &[5, 4]).await;
    env.drained().await;
    assert_eq!(env.alerts(), [Value::Null; 0]);

    fails(&api, "pibook-1", &[3]).await;
    let line = env.has_alerts(1).await.remove(0);
    assert_eq!((&line["status"], &line["deviceId"]), (&"firing".into(), &"pibook-1".into()));
    assert_eq!((&line["failureCount"], &line["cause"]), (&3.into(), &"content".into()));

    fails(&api, "pibook-1", &[2]).await;
    api.accepts(&[body("pibook-1", minutes_ago(1), false)]).await;
    let lines = env.has_alerts(2).await;
    assert_eq!((&lines[1]["status"], &lines[1]["id"]), (&"resolved".into(), &line["id"]));

    // A tick of each would show any further difference between the two.
    for _ in 0..2 {
        once(&env).await;
    }
    assert_eq!(env.alerts().len(), 2);
    env.finish().await;
}

#[tokio::test]
async fn a_hundred_incidents_are_a_hundred_messages_with_two_alerters_that_tick() {
    let env = TestEnv::new();
    let (api, _worker) = (env.api(&[]).await, env.work().await);
    for i in 0..100 {
        // Too long ago to be part of a fleet alert.
        fails(&api, &format!("pibook-{i}"), &[50, 40, 30]).await;
    }
    env.drained().await;
    tokio::join!(once(&env), once(&env));
    let lines = env.has_alerts(100).await;
    let mut devices: Vec<_> = lines.iter().map(|line| line["deviceId"].as_str().unwrap()).collect();
    devices.sort_unstable();
    devices.dedup();
    assert_eq!((lines.len(), devices.len(), of(&lines, "firing").len()), (100, 100, 100));
    env.finish().await;
}

/// Late failures move the start of a run, and with it the id that an alerter derives.
#[tokio::test]
async fn one_incident_of_a_device_is_open_whenever_it_is_said_to_have_begun() {
    let env = TestEnv::new();
    let store = env.store().await;
    store.ensure_indexes().await.unwrap();
    let new = |hours| {
        let run = FailureRun { count: 3, since: hours_ago(hours), last_at: hours_ago(1), last_speed: 1.0 };
        let incident = Incident::new(Alert::device_sync_failing(device("a"), &run), hours_ago(1));
        [VersionedIncident { incident, revision: Revision::Unset }]
    };
    assert_eq!(store.alerts().save(&new(5)).await.unwrap(), Saved::All);
    assert_eq!(store.alerts().save(&new(6)).await.unwrap(), Saved::Conflict);
    env.finish().await;
}

#[tokio::test]
async fn without_any_hint_a_tick_finds_it() {
    let env = TestEnv::new();
    let (api, _worker) = (env.api(&[]).await, env.work().await);
    fails(&api, "pibook-1", &[3, 2, 1]).await;
    env.drained().await;
    while !pisync_core::queue::Hints::new(env.queue()).take(100).await.unwrap().is_empty() {}
    once(&env).await;
    assert_eq!(of(&env.alerts(), "firing").len(), 1);
    env.finish().await;
}

#[tokio::test]
async fn a_later_run_of_failures_is_another_incident_unless_it_comes_within_half_an_hour() {
    let env = TestEnv::new();
    let (api, _worker) = (env.api(&[]).await, env.work().await);
    let looks = async |reports: &[Value]| {
        api.accepts(reports).await;
        env.drained().await;
        once(&env).await;
    };
    let failed = |minutes: &[i64]| {
        minutes.iter().map(|minutes| body("pibook-1", minutes_ago(*minutes), true)).collect::<Vec<_>>()
    };
    looks(&failed(&[60, 59, 58])).await;
    looks(&[body("pibook-1", minutes_ago(50), false)]).await;
    looks(&failed(&[40, 39, 38])).await;
    looks(&[body("pibook-1", minutes_ago(30), false)]).await;
    assert_eq!(env.alerts().len(), 2, "it came back at once");

    // As if it had been over for a while.
    let earlier = json!({ "$date": { "$numberLong": minutes_ago(31).as_millisecond().to_string() } });
    let age = json!({ "updates": [{ "q": {}, "u": { "$set": { "stateSince": earlier } } }] });
    mongo_command(&env, "update", "Alert", age).await;
    looks(&failed(&[20, 19, 18])).await;
    let lines = env.alerts();
    let seen: Vec<_> = lines.iter().map(|line| line["status"].as_str().unwrap()).collect();
    assert_eq!(seen, ["firing", "resolved", "firing"]);
    assert_ne!(lines[0]["id"], lines[2]["id"]);
    env.finish().await;
}

#[tokio::test]
async fn a_month_of_failures_that_comes_late_pages_nobody() {
    let env = TestEnv::new();
    let (api, _worker) = (env.api(&[]).await, env.work().await);
    fails(&api, "pibook-1", &[1_000, 500, 121]).await;
    fails(&api, "pibook-2", &[1_000, 500, 118]).await;
    env.drained().await;
    once(&env).await;
    let lines = env.alerts();
    assert_eq!((lines.len(), &lines[0]["deviceId"]), (1, &"pibook-2".into()));
    env.finish().await;
}

#[tokio::test]
async fn an_incident_is_taken_on_with_a_name_and_a_comment() {
    let env = TestEnv::new();
    let api = env.api(&[]).await;
    env.store().await.ensure_indexes().await.unwrap();
    let alert = incident(&env, "pibook-1", hours_ago(1), false).await;
    let (status, acked) =
        api.send("POST", &format!("/api/v1/alerts/{}/ack", alert.id), &json!({ "by": "me", "comment": "on it" })).await;
    assert_eq!((status.as_u16(), &acked["acked"]["by"]), (200, &"me".into()), "{acked}");
    let (_, listed) = api.get("/api/v1/alerts").await;
    assert_eq!(listed["items"][0]["acked"]["comment"], "on it");
    let (status, given_back) = api.send("DELETE", &format!("/api/v1/alerts/{}/ack", alert.id), &Value::Null).await;
    assert_eq!((status.as_u16(), &given_back["acked"]), (200, &Value::Null), "{given_back}");
    let unknown = format!("/api/v1/alerts/{}/ack", "0".repeat(24));
    assert_eq!(api.send("POST", &unknown, &json!({})).await.0.as_u16(), 404);
    assert_eq!(api.send("DELETE", &unknown, &Value::Null).await.0.as_u16(), 404);
    let long = json!({ "by": "x".repeat(129) });
    assert_eq!(api.send("POST", &format!("/api/v1/alerts/{}/ack", alert.id), &long).await.0.as_u16(), 400);
    env.finish().await;
}

/// A rule is a file of the alerter and a line in its list: no other crate has to name it.
#[tokio::test]
async fn a_rule_that_only_the_alerter_knows_can_be_silenced_by_the_form() {
    let (env, now) = (TestEnv::new(), testkit::now());
    let alert = Alert::new(AlertName::parse("QueueNearLimit").unwrap(), Subject::Fleet, now);
    let kept = VersionedIncident { incident: Incident::new(alert, now), revision: Revision::Unset };
    assert_eq!(env.store().await.alerts().save(&[kept]).await.unwrap(), Saved::All);
    let api = env.api(&[]).await;
    let page = reqwest::get(format!("{}/silences", api.url)).await.unwrap().text().await.unwrap();
    for rule in ["FleetSilent", "QueueNearLimit"] {
        assert!(page.contains(&format!("<option>{rule}</option>")), "{rule}: {page}");
    }
    env.finish().await;
}

#[tokio::test]
async fn what_is_silenced_is_not_told_until_the_silence_is_over() {
    let env = TestEnv::new();
    let (api, _worker) = (env.api(&[]).await, env.work().await);
    for device_id in ["pibook-1", "pibook-2", "other"] {
        fails(&api, device_id, &[30, 20, 10]).await;
    }
    env.drained().await;
    let (_, reach) = api.get("/api/v1/silences/preview?matchers=deviceId%5E%3Dpibook-").await;
    assert_eq!(reach["devices"], 2, "{reach}");
    let wanted = json!({ "matchers": ["deviceId^=pibook-"], "comment": "moving", "by": "me" });
    let (status, silence) = api.send("POST", "/api/v1/silences", &wanted).await;
    assert_eq!((status.as_u16(), &silence["active"], &silence["by"]), (201, &true.into(), &"me".into()), "{silence}");
    once(&env).await;
    assert_eq!(env.alerts().len(), 1);
    let (_, held) = api.get("/api/v1/alerts?deviceId=pibook-1").await;
    assert_eq!(held["items"][0]["silencedBy"], json!([silence["id"]]));

    let path = format!("/api/v1/silences/{}", silence["id"].as_str().unwrap());
    assert_eq!(api.send("DELETE", &path, &Value::Null).await.0.as_u16(), 204);
    assert_eq!(api.send("DELETE", &path, &Value::Null).await.0.as_u16(), 404);
    once(&env).await;
    assert_eq!(of(&env.alerts(), "firing").len(), 3);
    env.finish().await;
}

#[tokio::test]
async fn a_silence_of_a_region_is_about_the_devices_whose_newest_report_says_so() {
    let env = TestEnv::new();
    let (api, _worker) = (env.api(&[]).await, env.work().await);
    let report = |device_id: &str, minutes, failed, region: &str| {
        let mut report = body(device_id, minutes_ago(minutes), failed);
        report["labels"] = json!({ "region": region });
        report
    };
    // The last one has moved.
    for (device_id, regions) in [("a", ["nord"; 3]), ("b", ["sud"; 3]), ("c", ["nord", "nord", "sud"])] {
        let reports = [30, 20, 10].into_iter().zip(regions);
        api.accepts(&reports.map(|(at, region)| report(device_id, at, true, region)).collect::<Vec<_>>()).await;
    }
    env.drained().await;
    let reach = async |matchers: &str| {
        let (_, reach) = api.get(&format!("/api/v1/silences/preview?matchers={matchers}")).await;
        (reach["devices"].as_u64().unwrap(), reach["openAlerts"].as_u64().unwrap())
    };
    assert_eq!(reach("region%3Dnord").await, (1, 0));
    assert_eq!(reach("region%3D~nord%7Csud%0AdeviceId%3D~a%7Cb").await, (2, 0));
    assert_eq!(reach("regoin%3Dnord").await, (0, 0), "a typo");
    let (status, silence) = api
        .send("POST", "/api/v1/silences", &json!({ "matchers": ["region=nord"], "comment": "moving", "by": "me" }))
        .await;
    assert_eq!(status.as_u16(), 201, "{silence}");
    once(&env).await;
    let told: Vec<_> = env.alerts().iter().map(|line| line["deviceId"].as_str().unwrap().to_owned()).collect();
    assert_eq!((told.len(), told.contains(&"a".to_owned())), (2, false), "{told:?}");
    assert_eq!(reach("region%3Dnord").await, (1, 1));
    let (_, held) = api.get("/api/v1/alerts?deviceId=a").await;
    assert_eq!(held["items"][0]["silencedBy"], json!([silence["id"]]));

    // Its last alert is resolved, and so the silence is over.
    api.accepts(&[report("a", 1, false, "nord")]).await;
    env.drained().await;
    once(&env).await;
    let (_, left) = api.get("/api/v1/silences").await;
    assert_eq!((&left["items"], env.alerts().len()), (&json!([]), 2));
    env.finish().await;
}

#[tokio::test]
async fn a_silence_of_the_command_line_lasts_until_its_alerts_are_resolved() {
    let env = TestEnv::new();
    let (api, _worker) = (env.api(&[]).await, env.work().await);
    let verb = async |args: &[&str]| {
        let output = env.command("alerter", &[&["silence"], args].concat()).output().await.unwrap();
        (output.status.success(), String::from_utf8_lossy(&output.stdout).into_owned())
    };
    fails(&api, "pibook-1", &[30, 20, 10]).await;
    env.drained().await;
    let (is_done, said) = verb(&["add", "deviceId=pibook-1", "--comment", "mine", "--by", "me"]).await;
    assert!(is_done && said.contains("1 devices"), "{said}");
    once(&env).await;
    let (_, listed) = verb(&["list", "--json"]).await;
    let listed: Value = serde_json::from_str(&listed).unwrap();
    assert_eq!((&listed["endsAt"], &listed["comment"]), (&Value::Null, &"mine".into()));
    api.accepts(&[body("pibook-1", minutes_ago(1), false)]).await;
    env.drained().await;
    once(&env).await;
    assert_eq!((verb(&["list", "--json"]).await.1.as_str(), env.alerts().len()), ("", 0));
    assert!(!verb(&["expire", listed["id"].as_str().unwrap()]).await.0, "it is over");
    assert!(!verb(&["add", "cause=content", "--comment", "x"]).await.0);
    // Nobody knows the labels of devices: a name that none has matches none.
    let (is_done, said) = verb(&["add", "room=7", "--comment", "x"]).await;
    assert!(is_done && said.contains("0 devices and 0 open alerts"), "{said}");
    env.finish().await;
}

#[tokio::test]
async fn a_look_that_cannot_deliver_says_so_by_its_end() {
    let env = TestEnv::new();
    let (api, _worker) = (env.api(&[]).await, env.work().await);
    fails(&api, "pibook-1", &[30, 20, 10]).await;
    env.drained().await;
    let mut look = env.start("once.log", "alerter", &["--once", "--alert-log", "/dev/full"]);
    assert_eq!(look.ended().await.code(), Some(1), "{}", look.log());
    env.finish().await;
}

#[tokio::test]
async fn a_good_sync_that_arrives_late_resolves_too() {
    let env = TestEnv::new();
    let (api, _worker) = (env.api(&[]).await, env.work().await);
    fails(&api, "pibook-1", &[90, 70, 50]).await;
    env.drained().await;
    once(&env).await;
    api.accepts(&[body("pibook-1", minutes_ago(60), false)]).await;
    env.drained().await;
    assert_eq!(env.failure_count("pibook-1").await, 1);
    once(&env).await;
    assert_eq!(of(&env.alerts(), "resolved").len(), 1);
    env.finish().await;
}

#[tokio::test]
async fn a_counter_that_cannot_be_read_hides_no_other_and_ends_nothing() {
    let env = TestEnv::new();
    let (api, _worker) = (env.api(&[]).await, env.work().await);
    for device_id in ["pibook-1", "pibook-2"] {
        fails(&api, device_id, &[50, 40, 30]).await;
    }
    env.drained().await;
    once(&env).await;
    let broken = json!({ "$set": { "watermark": "yesterday", "failureCount": 0 } });
    let update = json!({ "updates": [{ "q": { "deviceId": "pibook-1" }, "u": broken }] });
    mongo_command(&env, "update", "FailureCounter", update).await;
    api.accepts(&[body("pibook-2", minutes_ago(20), false)]).await;
    fails(&api, "pibook-3", &[50, 40, 30]).await;
    env.drained().await;
    once(&env).await;
    let lines = env.alerts();
    let of = |status| of(&lines, status).into_iter().map(|line| line["deviceId"].as_str().unwrap()).collect::<Vec<_>>();
    assert_eq!(of("firing").last(), Some(&"pibook-3"), "{lines:?}");
    assert_eq!(of("resolved"), ["pibook-2"], "{lines:?}");
    env.finish().await;
}

/// Three rules read the heartbeats; the others go on.
#[tokio::test]
async fn a_rule_that_fails_alone_stops_no_other() {
    let env = TestEnv::new();
    let (api, mut worker) = (env.api(&[]).await, env.worker("worker.log", &[]).await);
    fails(&api, "pibook-1", &[50, 40, 30]).await;
    env.drained().await;
    worker.kill().await;
    drop(api);
    env.redis(&["DEL", "{}:heartbeat"]).await;
    env.redis(&["SET", "{}:heartbeat", "no hash"]).await;
    once(&env).await;
    let lines = env.alerts();
    assert_eq!((lines.len(), &lines[0]["alertname"]), (1, &"DeviceSyncFailing".into()));
    let log = std::fs::read_to_string(env.path("once.log")).unwrap();
    for rule in ["PipelineStalled", "FleetSilent", "DeviceSilent"] {
        let says = |line: &&str| line.contains(rule) && line.contains("not evaluated");
        assert_eq!(log.lines().filter(says).count(), 1, "{rule}: {log}");
    }
    env.finish().await;
}

/// Another version of the alerter may have rules that this one does not know.
#[tokio::test]
async fn an_incident_of_an_unknown_rule_is_read_and_told_and_stays_open() {
    let env = TestEnv::new();
    let (store, harness) = (env.store().await, AlerterHarness::new(&env).await.unwrap());
    let (now, name) = (testkit::now(), AlertName::new("OfAnotherVersion"));
    let alert = Alert::new(name, Subject::Fleet, now);
    let mut incident = Incident::new(alert.clone(), now);
    incident.outbox.push(OutboxEntry::new(1, NotificationKind::Firing, "log".into(), [].into(), now));
    let saved = store.alerts().save(&[VersionedIncident { incident, revision: Revision::Unset }]).await.unwrap();
    assert_eq!(saved, Saved::All);
    harness.tick_at(now).await.unwrap();
    harness.deliver().await.unwrap();
    assert_eq!(env.alerts()[0]["alertname"], "OfAnotherVersion");
    let kept = store.alerts().find(alert.id).await.unwrap().unwrap().incident;
    assert_eq!((kept.is_open(), kept.alert.name), (true, name));
    env.finish().await;
}

/// Runs one tick, as a cron job would.
async fn once(env: &TestEnv) {
    let log = env.path("alerts.log").display().to_string();
    let mut look = env.start("once.log", "alerter", &["--once", "--alert-log", &log]);
    assert!(look.ended().await.success(), "{}", look.log());
}
