//! Receivers by HTTP: the sent requests, and the result of each answer.

use std::{collections::BTreeMap, sync::LazyLock, time::Duration};

use alerter::{
    device_context::{DeviceContext, FailedSync},
    messages::Links,
    notification::{AlertNotification, Delivery, Notification},
    receivers::log::AlertLog,
    routing::{Routing, RoutingFile},
};
use jiff::{SignedDuration, Timestamp};
use pisync_core::models::{Alert, DeviceId, FailureRun, NotificationKind};
use serde_json::json;
use testkit::{Answer, FakeReceiver, TestEnv, hours_ago};

/// The key of the signatures, as in its file.
const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

/// Returns the receivers of a config, with the alert log of this world.
pub(crate) fn receivers(env: &TestEnv, config: &str) -> Routing {
    let path = env.path("alerts.toml");
    std::fs::write(&path, config).unwrap();
    let config = RoutingFile::read(&path).unwrap_or_else(|problems| panic!("{problems}"));
    let links = Links {
        dashboard: "https://pisync.example.org/".parse().ok(),
        runbook: "https://docs.example.org/runbook.html".parse().ok(),
    };
    Routing::new(AlertLog::open(&env.path("alerts.log")).unwrap(), links, config)
}

/// The start of the device's failures, the same in all messages of a test, since its id depends on it.
static SINCE: LazyLock<Timestamp> = LazyLock::new(|| hours_ago(4));

/// Returns a notification of a device that began to fail four hours ago and, if resolved, recovered an hour
/// ago.
pub(crate) fn notice(device_id: &str, reason: NotificationKind) -> AlertNotification {
    let run = FailureRun { count: 3, since: *SINCE, last_at: hours_ago(2), last_speed: 0.2 };
    let mut alert = Alert::device_sync_failing(DeviceId::parse(device_id).unwrap(), &run);
    alert.ends_at = (reason == NotificationKind::Resolved).then(|| hours_ago(1));
    let last_errors = vec![FailedSync { at: hours_ago(2), errors: 5, files: 8, speed: 0.2 }];
    let facts =
        DeviceContext { last_errors, last_good_sync: Some(hours_ago(5)), usual_speed: Some(12.0), clock_behind: None };
    AlertNotification { kind: reason, alert, context: facts }
}

/// Returns a message to the receiver `there`.
pub(crate) fn message(notices: Vec<AlertNotification>) -> Notification {
    Notification {
        id: "msg_1".into(),
        receiver: "there".into(),
        group: BTreeMap::from([("alertname".to_owned(), "DeviceSyncFailing".to_owned())]),
        notices,
        more: 0,
    }
}

fn firing() -> Notification {
    message(vec![notice("pibook-1", NotificationKind::Firing)])
}

fn says(status: u16, headers: &str, body: &str) -> Answer {
    Answer::Says(status, headers.to_owned(), body.to_owned())
}

/// Returns a config with a signed webhook at the fake receiver and a timeout of one second.
fn webhook(env: &TestEnv, fake_receiver: &FakeReceiver) -> Routing {
    std::fs::write(env.path("secret"), format!("{SECRET}\n")).unwrap();
    let (url, secret) = (fake_receiver.url(), env.path("secret").display().to_string());
    let keys = format!("name = \"there\"\ntype = \"webhook\"\nurl = \"{url}/x\"\nsecret_file = \"{secret}\"\n");
    receivers(env, &format!("[[receiver]]\n{keys}timeout = \"1s\"\n"))
}

#[tokio::test]
async fn a_webhook_that_fails_is_tried_again_and_one_that_refuses_is_not() {
    let (env, fake_receiver) = (TestEnv::new(), FakeReceiver::start().await);
    let receivers = webhook(&env, &fake_receiver);
    let date = (testkit::clock() + SignedDuration::from_secs(90)).strftime("%a, %d %b %Y %H:%M:%S GMT");
    for (answer, expected) in [
        (says(204, "", ""), "sent"),
        (says(500, "", ""), "again"),
        (says(302, "location: http://127.0.0.1:9/\r\n", ""), "again"),
        (says(429, "", ""), "again"),
        (says(429, "retry-after: 7\r\n", "slow down"), "again in 7"),
        (says(503, "retry-after: 100000000\r\n", ""), "again in 3600"),
        (says(503, &format!("retry-after: {date}\r\n"), ""), "again in 8"),
        (says(408, "", ""), "again"),
        (says(400, "", "no such\tchannel"), "dead"),
        (says(404, "retry-after: 7\r\n", ""), "dead"),
        (Answer::Cuts, "again"),
        (Answer::Hangs, "again"),
        (says(200, "", ""), "sent"),
    ] {
        fake_receiver.answers([answer.clone()]);
        let became = match receivers.send(&firing()).await {
            Delivery::Sent => "sent".to_owned(),
            Delivery::Again { after: None, .. } => "again".to_owned(),
            Delivery::Again { after: Some(after), .. } => format!("again in {}", after.as_secs()),
            Delivery::Dead { why } => {
                assert!(why.starts_with('4') && !why.contains('\t'), "{why}");
                "dead".to_owned()
            }
        };
        // A date has whole seconds alone.
        let is_so = if expected == "again in 8" { became.starts_with(expected) } else { became == expected };
        assert!(is_so, "{answer:?}: {became}");
    }
    let ids: Vec<_> = fake_receiver.received().iter().map(|request| request.headers["webhook-id"].clone()).collect();
    assert_eq!(ids, ["msg_1"; 13]);
    env.remove().await;
}

#[tokio::test]
async fn a_webhook_that_is_not_there_is_tried_again_and_none_is_waited_for_longer_than_said() {
    let (env, fake_receiver) = (TestEnv::new(), FakeReceiver::start().await);
    let receivers = webhook(&env, &fake_receiver);
    fake_receiver.answers([Answer::Hangs]);
    let start = testkit::stopwatch();
    let Delivery::Again { why, .. } = receivers.send(&firing()).await else { panic!("it hung") };
    assert!(start.elapsed() < Duration::from_secs(10) && why.contains("1 s"), "{why}");
    drop(fake_receiver);
    env.until("nobody there", async || matches!(receivers.send(&firing()).await, Delivery::Again { .. })).await;
    env.remove().await;
}

/// The signature is made by Python here, from the words of the standard.
#[tokio::test]
async fn a_webhook_can_check_who_sent_it() {
    let (env, fake_receiver) = (TestEnv::new(), FakeReceiver::start().await);
    assert_eq!(webhook(&env, &fake_receiver).send(&firing()).await, Delivery::Sent);
    let request = fake_receiver.received().remove(0);
    let at: i64 = request.headers["webhook-timestamp"].parse().unwrap();
    assert!((testkit::clock().as_second() - at).abs() < 60);
    let body = env.path("body");
    std::fs::write(&body, &request.body).unwrap();
    let script = "import base64,hashlib,hmac,sys\n\
                  key=base64.b64decode(sys.argv[1][6:])\n\
                  signed=f'{sys.argv[2]}.{sys.argv[3]}.'.encode()+open(sys.argv[4],'rb').read()\n\
                  print('v1,'+base64.b64encode(hmac.new(key,signed,hashlib.sha256).digest()).decode())";
    let mut python = tokio::process::Command::new("python3");
    python.args(["-c", script, SECRET, "msg_1", &at.to_string()]).arg(&body);
    let expected = String::from_utf8(python.output().await.unwrap().stdout).unwrap();
    assert_eq!(request.headers["webhook-signature"], expected.trim());
    assert_eq!((request.path.as_str(), request.headers["content-type"].as_str()), ("/x", "application/json"));
    env.remove().await;
}

#[tokio::test]
async fn slack_gets_what_people_need_and_no_name_of_a_device_is_a_command() {
    let (env, fake_receiver) = (TestEnv::new(), FakeReceiver::start().await);
    std::fs::write(env.path("url"), format!("{}/services/hunter2", fake_receiver.url())).unwrap();
    let url = env.path("url").display().to_string();
    let receivers =
        receivers(&env, &format!("[[receiver]]\nname = \"there\"\ntype = \"slack\"\nurl_file = \"{url}\"\n"));
    assert_eq!(receivers.send(&message(vec![notice("<!channel>", NotificationKind::Firing)])).await, Delivery::Sent);
    let sent = fake_receiver.received().remove(0).json();
    let text = sent["attachments"][0]["text"].as_str().unwrap();
    for part in [
        "&lt;!channel&gt;: 3 failed syncs in a row",
        "connectivity",
        "0.2 Mbps",
        "0.5 Mbps",
        "12 Mbps",
        "5 errors, 8 files synced",
        "last good sync",
        "https://pisync.example.org/device?id=%3C%21channel%3E",
        "runbook: https://docs.example.org/runbook.html#devicesyncfailing",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    assert!(!sent.to_string().contains("<!channel>"), "{sent}");
    for command in ["@all", "[x](https://example.net)", "*bold*", "`code`"] {
        assert_eq!(receivers.send(&message(vec![notice(command, NotificationKind::Firing)])).await, Delivery::Sent);
        let sent = fake_receiver.received().pop().unwrap().json().to_string();
        assert!(!sent.contains(command), "{sent}");
    }

    let mut many: Vec<_> = (0..50).map(|i| notice(&format!("pibook-{i}"), NotificationKind::Firing)).collect();
    many.push(notice("pibook-well", NotificationKind::Resolved));
    let message = Notification { more: 9, ..message(many) };
    assert_eq!(receivers.send(&message).await, Delivery::Sent);
    let sent = fake_receiver.received().pop().unwrap().json();
    assert_eq!(sent["text"], "[PiSync] DeviceSyncFailing: 50 firing, 1 resolved, 9 more");
    let colors: Vec<_> = sent["attachments"].as_array().unwrap().iter().map(|one| one["color"].as_str()).collect();
    assert_eq!(
        colors,
        [Some("danger"), Some("danger"), Some("danger"), Some("danger"), Some("danger"), Some("good"), None]
    );

    // The address is a secret, also if the receiver repeats it.
    fake_receiver.answers([says(403, "", &format!("no {}/services/hunter2", fake_receiver.url()))]);
    let Delivery::Dead { why } = receivers.send(&firing()).await else { panic!() };
    assert!(!why.contains("hunter2") && !format!("{receivers:?}").contains("hunter2"), "{why}");
    env.remove().await;
}

#[tokio::test]
async fn pagerduty_gets_one_incident_that_begins_and_ends() {
    let (env, fake_receiver) = (TestEnv::new(), FakeReceiver::start().await);
    std::fs::write(env.path("key"), "hunter2").unwrap();
    let (url, key) = (fake_receiver.url(), env.path("key").display().to_string());
    let keys =
        format!("name = \"there\"\ntype = \"pagerduty\"\nurl = \"{url}/v2/enqueue\"\nrouting_key_file = \"{key}\"\n");
    let receivers = receivers(&env, &format!("[[receiver]]\n{keys}severity = \"warning\"\n"));
    for reason in [NotificationKind::Firing, NotificationKind::Repeat, NotificationKind::Resolved] {
        assert_eq!(receivers.send(&message(vec![notice("pibook-1", reason)])).await, Delivery::Sent);
    }
    let events: Vec<_> = fake_receiver.received().iter().map(testkit::Received::json).collect();
    let actions: Vec<_> = events.iter().map(|event| event["event_action"].as_str().unwrap()).collect();
    assert_eq!(actions, ["trigger", "trigger", "resolve"]);
    for event in &events {
        assert_eq!((&event["routing_key"], &event["dedup_key"]), (&"hunter2".into(), &events[0]["dedup_key"]));
        assert_eq!(
            (&event["payload"]["source"], &event["payload"]["severity"]),
            (&"pibook-1".into(), &"warning".into())
        );
        let links = json!([
            { "href": "https://pisync.example.org/device?id=pibook-1", "text": "device" },
            { "href": "https://docs.example.org/runbook.html#devicesyncfailing", "text": "runbook" },
        ]);
        assert_eq!(event["links"], links);
    }
    let summary = events[2]["payload"]["summary"].as_str().unwrap();
    assert!(summary.ends_with("has recovered after 3 h 0 min"), "{summary}");
    assert!(events[0]["payload"]["custom_details"]["cause"].as_str().unwrap().contains("0.2 Mbps"));

    fake_receiver.answers([says(400, "", "hunter2 is no key")]);
    let Delivery::Dead { why } = receivers.send(&firing()).await else { panic!() };
    assert!(!why.contains("hunter2") && !format!("{receivers:?}").contains("hunter2"), "{why}");
    env.remove().await;
}

#[tokio::test]
async fn the_log_gets_a_line_for_each_alert_of_a_message() {
    let env = TestEnv::new();
    let receivers = receivers(&env, "");
    let notices = (0..3).map(|i| notice(&format!("pibook-{i}"), NotificationKind::Firing)).collect();
    assert_eq!(receivers.send(&Notification { receiver: "log".into(), ..message(notices) }).await, Delivery::Sent);
    let devices: Vec<_> = env.alerts().iter().map(|line| line["deviceId"].as_str().unwrap().to_owned()).collect();
    assert_eq!(devices, ["pibook-0", "pibook-1", "pibook-2"]);
    let message = env.alerts()[0]["message"].as_str().unwrap().to_owned();
    assert!(message.contains("3 failed syncs in a row") && message.contains("(0.2 Mbps)"), "{message}");
    env.remove().await;
}

#[tokio::test]
async fn a_receiver_that_a_new_config_no_longer_has_gets_nothing() {
    let (env, fake_receiver) = (TestEnv::new(), FakeReceiver::start().await);
    let receivers = webhook(&env, &fake_receiver);
    receivers.clone().replace(RoutingFile::default());
    assert!(matches!(receivers.send(&firing()).await, Delivery::Dead { .. }));
    assert!(fake_receiver.received().is_empty());
    env.remove().await;
}
