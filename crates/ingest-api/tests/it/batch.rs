//! Many reports in one request.

use jiff::SignedDuration;
use pisync_core::models::DeviceId;
use reqwest::{Client, Response};
use serde_json::{Value, json};
use testkit::{Api, TestEnv, body, hours_ago};

async fn post(api: &Api, media_type: &str, body: String) -> Response {
    let request = Client::new().post(format!("{}/api/v1/sync-events", api.url)).header("content-type", media_type);
    request.body(body).send().await.unwrap()
}

async fn answer(answer: Response, status: u16) -> Value {
    let (found, text) = (answer.status().as_u16(), answer.text().await.unwrap());
    assert_eq!(found, status, "{text}");
    serde_json::from_str(&text).unwrap()
}

#[tokio::test]
async fn good_reports_are_stored_once_and_bad_ones_are_named() {
    let env = TestEnv::new();
    let (api, _worker) = (env.api(&[]).await, env.work().await);
    let mut reports: Vec<_> = (0..300).map(|i| body(&format!("pibook-{}", i % 50), hours_ago(i / 50), false)).collect();
    reports[7]["totalErrors"] = json!(-1);
    reports[9] = json!("no event");
    reports.push(reports[0].clone());
    let expected = json!([{ "index": 7, "code": "invalid" }, { "index": 9, "code": "malformed" }]);
    let lines: Vec<_> = reports.iter().map(Value::to_string).collect();
    for (media_type, body) in [
        ("application/json", json!(reports).to_string()),
        ("application/json", json!({ "sentAt": hours_ago(0).to_string(), "events": reports }).to_string()),
        ("application/x-ndjson", lines.join("\n")),
    ] {
        let said = answer(post(&api, media_type, body).await, 202).await;
        assert_eq!(said["accepted"], 299, "{said}");
        let rejected = said["rejected"].as_array().unwrap();
        let named: Vec<_> = rejected.iter().map(|one| json!({ "index": one["index"], "code": one["code"] })).collect();
        assert_eq!(json!(named), expected);
        assert!(rejected[0]["detail"].as_str().unwrap().contains("totalErrors"), "{said}");
    }
    env.drained().await;
    assert_eq!(env.rows().await.len(), 298);
    env.finish().await;
}

#[tokio::test]
async fn a_batch_without_a_good_report_is_a_problem_with_all_its_faults() {
    let env = TestEnv::new();
    let api = env.api(&[]).await;
    let bad = json!({ "events": [{ "deviceId": "a" }, 7] });
    let problem = answer(post(&api, "application/json", bad.to_string()).await, 400).await;
    let pointers: Vec<_> = problem["errors"].as_array().unwrap().iter().map(|fault| &fault["pointer"]).collect();
    assert_eq!(pointers[0], "/events/0/timestamp", "{problem}");
    assert_eq!(pointers.last().unwrap().as_str(), Some("/events/1"));
    for (media_type, body, status) in [
        ("application/json", "[]".to_owned(), 400),
        ("application/json", "{}".to_owned(), 400),
        ("application/x-ndjson", "\n\n".to_owned(), 400),
        ("application/json", json!(vec![json!({}); 1_001]).to_string(), 413),
        ("application/x-ndjson", "{}\n".repeat(1_001), 413),
        ("text/csv", "a,b".to_owned(), 415),
    ] {
        answer(post(&api, media_type, body).await, status).await;
    }
    env.finish().await;
}

#[tokio::test]
async fn a_month_offline_is_taken_at_once_and_a_device_that_goes_on_is_told_when_to_come_back() {
    let env = TestEnv::new();
    let (api, _worker) = (env.api(&[]).await, env.work().await);
    let month: Vec<_> = (0..720).map(|hour| body("offline", hours_ago(hour), hour < 2)).collect();
    let said = answer(post(&api, "application/json", json!(month).to_string()).await, 202).await;
    assert_eq!(said, json!({ "accepted": 720, "rejected": [] }));

    let more: Vec<_> = (720..1_720).map(|hour| body("offline", hours_ago(hour), false)).collect();
    let said = answer(post(&api, "application/json", json!(more).to_string()).await, 202).await;
    assert!((280..=282).contains(&said["accepted"].as_u64().unwrap()), "{}", said["accepted"]);
    assert_eq!(said["rejected"][0]["code"], "too_fast");
    for answer in [post(&api, "application/json", json!(more).to_string()).await, api.post(&more[0]).await] {
        assert_eq!(answer.status().as_u16(), 429);
        let wait: u64 = answer.headers()["retry-after"].to_str().unwrap().parse().unwrap();
        assert!((1..=124).contains(&wait), "{wait}");
    }
    // No other device is affected, not even in the same batch.
    let mixed = json!([more[0], body("other", hours_ago(1), false)]).to_string();
    let said = answer(post(&api, "application/json", mixed).await, 202).await;
    assert_eq!((&said["accepted"], &said["rejected"][0]["index"]), (&1.into(), &0.into()));
    env.drained().await;
    assert_eq!(env.failure_count("offline").await, 2);
    env.finish().await;
}

#[tokio::test]
async fn of_a_batch_what_finds_room_is_taken_and_the_rest_is_named_to_be_sent_again() {
    let env = TestEnv::new();
    let room = (10 * env.queue().partitions().len()).to_string();
    let api = env.api(&["--max-queue", &room, "--device-burst", "120"]).await;
    // All from one device, so of one partition, which has room for ten.
    let now = hours_ago(0);
    let report = |number| body("one", now - SignedDuration::from_mins(number), false);
    let reports: Vec<_> = (0..100).map(report).collect();
    let said = answer(post(&api, "application/json", json!(reports).to_string()).await, 202).await;
    assert_eq!((&said["accepted"], said["rejected"].as_array().unwrap().len()), (&10.into(), 90), "{said}");
    for (place, rejected) in said["rejected"].as_array().unwrap().iter().enumerate() {
        assert_eq!((&rejected["index"], &rejected["code"]), (&json!(place + 10), &json!("queue_full")));
    }
    // No report is accepted while the queue is full: 503, to be retried later.
    let refused = post(&api, "application/json", json!(reports).to_string()).await;
    assert!(refused.headers().contains_key("retry-after"));
    answer(refused, 503).await;
    // Refused reports were refunded: the device may send all of them, and none twice.
    let _worker = env.work().await;
    let mut left = reports[10..].to_vec();
    for _ in 0..50 {
        env.drained().await;
        let said = answer(post(&api, "application/json", json!(left).to_string()).await, 202).await;
        let rejected = said["rejected"].as_array().unwrap();
        assert!(rejected.iter().all(|one| one["code"] == "queue_full"), "{said}");
        left =
            rejected.iter().map(|one| left[usize::try_from(one["index"].as_u64().unwrap()).unwrap()].clone()).collect();
        if left.is_empty() {
            break;
        }
    }
    env.drained().await;
    assert_eq!((left.len(), env.rows().await.len()), (0, 100));
    env.finish().await;
}

#[tokio::test]
async fn a_partition_that_takes_nothing_refuses_its_own_reports_alone() {
    let env = TestEnv::new();
    let (api, queue) = (env.api(&[]).await, env.queue());
    let broken = queue.partition_of(&DeviceId::parse("pibook-0").unwrap());
    // Another value is at the key of its list.
    let key = format!("{{}}:{{q:{:02}}}:ready", broken.number());
    env.redis(&["SET", &key, "no list"]).await;
    let reports: Vec<_> = (0..40).map(|i| body(&format!("pibook-{i}"), hours_ago(1), false)).collect();
    let said = answer(post(&api, "application/json", json!(reports).to_string()).await, 202).await;
    let own = |i: &usize| queue.partition_of(&DeviceId::parse(&format!("pibook-{i}")).unwrap()) == broken;
    let expected: Vec<_> = (0..40).filter(own).map(|index| json!({ "index": index, "code": "unavailable" })).collect();
    let rejected = said["rejected"].as_array().unwrap();
    let named: Vec<_> = rejected.iter().map(|one| json!({ "index": one["index"], "code": one["code"] })).collect();
    assert_eq!((&said["accepted"], named), (&json!(40 - expected.len()), expected.clone()), "{said}");
    answer(post(&api, "application/json", json!([reports[0]]).to_string()).await, 503).await;
    env.redis(&["DEL", &key]).await;
    let _worker = env.work().await;
    env.drained().await;
    assert_eq!(env.rows().await.len(), 40 - expected.len());
    env.finish().await;
}

#[tokio::test]
async fn a_device_reports_for_itself_alone_and_its_own_reports_are_taken_all_the_same() {
    let env = TestEnv::new();
    let secrets = env.path("devices.toml").display().to_string();
    let keys = async |args: &[&str]| {
        let output = env.command("ingest-api", &[&["keys", "--device-key-file", &secrets], args].concat()).output();
        let output = output.await.unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    };
    keys(&["new-device-key"]).await;
    // As typed; reports with this name in any form belong to it.
    let token = keys(&["device-token", " e\u{301}cole "]).await;
    let keys_file = env.path("keys.toml").display().to_string();
    std::fs::write(&keys_file, "").unwrap();
    let args = ["--auth", "enforce", "--keys-file", &keys_file, "--device-key-file", &secrets];
    let (api, _worker) = (env.api(&args).await, env.work().await);
    let send = async |reports: Value| {
        let request = Client::new().post(format!("{}/api/v1/sync-events", api.url)).bearer_auth(&token);
        request.json(&reports).send().await.unwrap()
    };
    let (mine, other) = (body("école", hours_ago(1), false), body("other", hours_ago(1), false));
    let said = answer(send(json!([other, mine])).await, 202).await;
    assert_eq!((&said["accepted"], &said["rejected"][0]["code"]), (&1.into(), &"forbidden".into()), "{said}");
    answer(send(json!([other])).await, 403).await;
    let unknown = post(&api, "application/json", json!([mine]).to_string()).await;
    assert_eq!(unknown.headers()["www-authenticate"], "Bearer");
    answer(unknown, 401).await;
    env.drained().await;
    assert_eq!(env.rows().await.len(), 1);
    env.finish().await;
}
