//! The weekly summary: once to each receiver, whichever alerters tick or die.

use std::time::Duration;

use alerter::{metrics::Metrics, outbox::Outbox, summary::SummarySender};
use jiff::{SignedDuration, Timestamp};
use pisync_core::{crash::CrashSettings, models::Incident, time::day_of};
use serde_json::{Value, json};
use testkit::{
    FakeReceiver, TestEnv, mongo_command, mongo_find,
    world::{counter, failing, heard_of, save, store_counters},
};

use crate::{mail, receivers::receivers};

const LEASE: Duration = Duration::from_secs(30);

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

/// Adds the hours before a time, each with so many good syncs, two failed ones and one of them late.
async fn hours(env: &TestEnv, to: Timestamp, count: i64, good: u64) {
    let hour = |back| {
        let at = json!({ "$date": (to - SignedDuration::from_hours(back)).to_string() });
        let late = json!({ "good": 0, "connectivity": 1, "content": 0, "unknown": 0 });
        json!({
            "_id": at, "good": good, "failed": 2, "files": 0, "errors": 0, "connectivity": 1, "content": 1,
            "speeds": [], "failedSpeeds": [], "late": late, "computedAt": at, "closed": false,
        })
    };
    let documents: Vec<_> = (1..=count).map(hour).collect();
    mongo_command(env, "insert", "SyncHour", json!({ "documents": documents })).await;
}

/// Counts the devices in the hour that begins at a time, so that its hours have their sums.
async fn counted(env: &TestEnv, hour: Timestamp) {
    counted_at(env, hour, hour).await;
}

async fn counted_at(env: &TestEnv, hour: Timestamp, at: Timestamp) {
    let [hour, at] = [hour, at].map(|time| json!({ "$date": time.to_string() }));
    let counts = json!({ "_id": hour, "takenAt": at, "failing": 0, "silent": 0, "clockSuspect": 0, "ok": 1 });
    mongo_command(env, "insert", "StatusHour", json!({ "documents": [counts] })).await;
}

/// Returns a sender of summaries on a clock of the test.
async fn teller(env: &TestEnv, config: &str) -> SummarySender {
    let (store, crash) = (env.store().await, CrashSettings::default());
    store.ensure_indexes().await.unwrap();
    let outbox = Outbox::new(store, receivers(env, config), LEASE, crash, Metrics::default()).unwrap();
    SummarySender::new(outbox, env.queue())
}

async fn sends(teller: &SummarySender, now: &str) -> usize {
    teller.send_at(at(now)).await.unwrap().sent
}

fn of_webs(chat: &FakeReceiver, web: &FakeReceiver, env: &TestEnv) -> String {
    std::fs::write(env.path("chat"), format!("{}/chat\n", chat.url())).unwrap();
    let chat =
        format!("[[receiver]]\nname = \"chat\"\ntype = \"slack\"\nurl_file = \"{}\"\n", env.path("chat").display());
    format!("{chat}[[receiver]]\nname = \"web\"\ntype = \"webhook\"\nurl = \"{}\"\n", web.url())
}

fn monday(receivers: &str) -> String {
    format!("[summary]\nreceivers = [{receivers}]\nday = \"monday\"\nhour = 8\n")
}

/// The subject that all receivers get of the week of [`week`].
const SUBJECT: &str = "[PiSync] 2026-W47: 98.0 % of 16\u{202f}700 syncs were good, 1 incident";

/// A week of which one hour has no sums, and the week before it; two devices, and an incident.
async fn week(env: &TestEnv) {
    let to = at("2026-11-23T00:00:00Z");
    hours(env, to, 167, 98).await;
    hours(env, at("2026-11-16T00:00:00Z"), 168, 8).await;
    counted(env, to).await;
    heard_of(env, &[("pibook-1", at("2026-11-20T10:00:00Z")), ("pibook-2", at("2026-11-15T10:00:00Z"))]).await;
    store_counters(env, vec![counter("pibook-<1>", 7), counter("pibook-2", 2)]).await;
    let mut incident: Incident = failing("pibook-<1>");
    incident.alert.starts_at = at("2026-11-21T00:00:00Z");
    save(env, Incident { alert: incident.alert.with_own_id(), ..incident }).await;
}

#[tokio::test]
async fn each_receiver_is_told_of_a_week_once_by_two_alerters_and_after_restarts() {
    let (env, chat, web) = (TestEnv::new(), FakeReceiver::start().await, FakeReceiver::start().await);
    let server = mail::server(&env).await;
    let mail = mail::config(&env, server.port, "people@example.org", "");
    let config = of_webs(&chat, &web, &env) + &mail + &monday("\"log\", \"chat\", \"web\", \"there\"");
    week(&env).await;
    let (one, two) = (teller(&env, &config).await, teller(&env, &config).await);
    assert_eq!(sends(&one, "2026-11-23T07:59:59Z").await, 0, "it is not time");
    let both = tokio::join!(sends(&one, "2026-11-23T08:00:00Z"), sends(&two, "2026-11-23T08:00:00Z"));
    assert_eq!(both.0 + both.1, 4);
    for minute in 1..20 {
        let now = format!("2026-11-23T08:{minute:02}:00Z");
        let restarted = teller(&env, &config).await;
        let all = [sends(&one, &now).await, sends(&two, &now).await, sends(&restarted, &now).await];
        assert_eq!(all, [0, 0, 0]);
    }
    let (mails, lines, web) = (server.mails(), env.alerts(), web.received());
    assert_eq!((chat.received().len(), web.len(), mails.len(), lines.len()), (1, 1, 1, 1));
    is_told_to_a_chat(&chat.received()[0].json());
    is_told_to_a_webhook(&web[0].json());
    let line = &lines[0];
    assert_eq!((&line["alertname"], line.get("status")), (&json!("WeeklySummary"), None));
    assert!(line["message"].as_str().unwrap().starts_with(SUBJECT), "{line}");
    assert_eq!(line["id"].as_str(), Some(web[0].headers["webhook-id"].as_str()), "one name for all of its messages");
    let mail = mail::parse(&env, mails[0]["data"].as_str().unwrap()).await;
    for part in ["Subject: [PiSync] 2026-W47: 98.0 %", "Good: 98.0 %", "fleet: https://pisync.example.org/"] {
        assert!(mail.contains(part), "{part}: {mail}");
    }

    // The week after knows the earlier number of devices.
    hours(&env, at("2026-11-30T00:00:00Z"), 168, 98).await;
    counted(&env, at("2026-11-30T00:00:00Z")).await;
    assert_eq!(sends(&one, "2026-11-30T08:00:00Z").await, 4);
    let said = text_of(&chat.received()[1].json());
    assert!(said.contains("Devices seen: 0 (1 the week before)"), "{said}");
    env.remove().await;
}

fn text_of(message: &Value) -> String {
    message["attachments"][0]["text"].as_str().unwrap().to_owned()
}

fn is_told_to_a_chat(message: &Value) {
    assert_eq!(message["text"], SUBJECT);
    let said = text_of(message);
    for part in [
        "From 2026-11-16 00:00 UTC to 2026-11-23 00:00 UTC",
        "Syncs reported: 16\u{202f}700 (1\u{202f}680 the week before)",
        "Good: 98.0 % (80.0 % the week before)",
        "Failed: 167 for the connection, 167 for the content \
         (168 for the connection, 168 for the content the week before)",
        "Received over two hours late, good or failed: 167",
        "Devices seen: 1 (no data for the week before)",
        "Incidents: 1 began (0 the week before), 0 ended, 1 open now",
        "The longest: DeviceSyncFailing of pibook-&lt;1&gt;, 2 d 8 h, still open",
        "Failing most often now: pibook-&lt;1&gt; (7 in a row)",
        "Hours without sums, not included: 1 of 168",
        "fleet: https://pisync.example.org/",
    ] {
        assert!(said.contains(part), "{part}: {said}");
    }
}

/// Checks the body of a webhook: a resolved alert.
fn is_told_to_a_webhook(body: &Value) {
    assert_eq!(
        (&body["version"], &body["status"], &body["receiver"]),
        (&json!("4"), &json!("resolved"), &json!("web"))
    );
    let alert = &body["alerts"][0];
    assert_eq!((&alert["labels"], &alert["status"]), (&json!({ "alertname": "WeeklySummary" }), &json!("resolved")));
    assert_eq!(alert["endsAt"], "2026-11-23T00:00:00.000Z");
    let noted = &alert["annotations"];
    for (name, value) in [("summary", SUBJECT), ("syncs", "16700"), ("good", "16366"), ("week", "2026-W47")] {
        assert_eq!(noted[name], value);
    }
}

#[tokio::test]
async fn a_summary_that_is_not_taken_is_tried_again_by_the_same_name_and_with_the_same_words() {
    let (env, chat, web) = (TestEnv::new(), FakeReceiver::start().await, FakeReceiver::start().await);
    let teller = teller(&env, &(of_webs(&chat, &web, &env) + &monday("\"chat\", \"web\""))).await;
    counted(&env, at("2026-11-23T00:00:00Z")).await;
    let says = |status: u16| testkit::Answer::Says(status, String::new(), String::new());
    web.answers([says(503), says(503), says(200)]);
    chat.answers([says(404)]);
    let outcome = teller.send_at(at("2026-11-23T08:00:00Z")).await.unwrap();
    assert_eq!((outcome.sent, outcome.failed), (0, 2));
    hours(&env, at("2026-11-23T00:00:00Z"), 168, 98).await;
    let tries = ["08:00:02", "08:00:05", "08:00:09", "08:00:15", "08:10:00"];
    let mut sent = Vec::new();
    for time in tries {
        sent.push(sends(&teller, &format!("2026-11-23T{time}Z")).await);
    }
    assert_eq!(sent, [0, 0, 0, 1, 0]);
    let posted = web.received();
    assert_eq!(posted.len(), 3);
    let ids: Vec<_> = posted.iter().map(|posted| &posted.headers["webhook-id"]).collect();
    assert_eq!(ids, [ids[0]; 3]);
    assert_eq!(posted[0].json(), posted[2].json());
    assert_eq!(chat.received().len(), 1, "what is refused is not tried again");
    env.remove().await;
}

#[tokio::test]
async fn a_week_waits_until_its_hours_are_added_up_and_without_a_summary_nothing_is_told() {
    let (env, chat, web) = (TestEnv::new(), FakeReceiver::start().await, FakeReceiver::start().await);
    let config = of_webs(&chat, &web, &env);
    let off = teller(&env, &config).await;
    counted(&env, at("2026-11-23T00:00:00Z")).await;
    assert_eq!(sends(&off, "2026-11-23T08:00:00Z").await, 0);
    assert_eq!(mongo_find(&env, "Summary", json!({})).await, Vec::<Value>::new());

    let midnight = config + "[summary]\nreceivers = \"chat\"\nday = \"monday\"\nhour = 0\n";
    let waiting = teller(&env, &midnight).await;
    assert_eq!(sends(&waiting, "2026-11-23T00:09:59Z").await, 0);
    assert_eq!(sends(&waiting, "2026-11-23T00:10:00Z").await, 1);
    // If the sums never come, it is sent two hours later.
    assert_eq!(sends(&waiting, "2026-11-30T01:59:59Z").await, 0);
    assert_eq!(sends(&waiting, "2026-11-30T02:00:00Z").await, 1);
    let said = text_of(&chat.received()[1].json());
    assert!(said.contains("not included: 168 of 168"), "{said}");
    assert_eq!((env.alerts().len(), web.received().len()), (0, 0));
    env.remove().await;
}

/// Returns the config of a summary due today at this hour, by the clock of the machine.
fn now_due(receivers: &str) -> String {
    let now = testkit::now().to_zoned(jiff::tz::TimeZone::UTC);
    let day = now.strftime("%A").to_string().to_lowercase();
    format!("[summary]\nreceivers = [{receivers}]\nday = \"{day}\"\nhour = {}\n", now.hour())
}

#[tokio::test]
async fn an_alerter_that_dies_after_it_took_the_summary_on_leaves_it_to_another() {
    tokio::join!(dies_at("after_summary_claim", 1), dies_at("after_summary_send", 2));
}

async fn dies_at(point: &str, messages: usize) {
    let (env, chat, web) = (TestEnv::new(), FakeReceiver::start().await, FakeReceiver::start().await);
    std::fs::write(env.path("alerts.toml"), of_webs(&chat, &web, &env) + &now_due("\"web\"")).unwrap();
    let day = day_of(testkit::now());
    counted_at(&env, day, day - SignedDuration::from_hours(1)).await;
    let (config, log) = (env.path("alerts.toml").display().to_string(), env.path("alerts.log").display().to_string());
    let args = ["--config", &config, "--alert-log", &log, "--lease-ms", "1000"];
    let crash = ["--once", "--crash-at", point];
    let mut dies = env.start("dies.log", "alerter", &[&args[..], &crash].concat());
    assert_eq!(dies.ended().await.code(), None, "killed\n{}", dies.log());
    let _two = [env.start("one.log", "alerter", &args), env.start("two.log", "alerter", &args)];
    env.until("the summary", async || {
        let sent = mongo_find(&env, "Summary", json!({ "sentAt": { "$exists": true } })).await;
        sent.len() == 1
    })
    .await;
    let posted = web.received();
    assert_eq!(posted.len(), messages, "{point}");
    let ids: Vec<_> = posted.iter().map(|posted| &posted.headers["webhook-id"]).collect();
    assert_eq!(ids, vec![ids[0]; messages]);
    env.remove().await;
}
