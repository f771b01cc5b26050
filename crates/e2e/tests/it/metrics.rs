//! What operators see: metrics, readiness, request ids and the log.

use std::{
    collections::BTreeSet,
    process::Stdio,
    time::{Duration, Instant},
};

use e2e::{Api, RedisServer, Service, TestEnv, body, hours_ago, setting, workspace_root};
use reqwest::{Client, StatusCode};
use serde_json::{Value, json};
use tokio::{io::AsyncWriteExt, process::Command};

const OPS: [&str; 2] = ["--ops-bind", "127.0.0.1:0"];

async fn get(url: &str) -> (StatusCode, String) {
    let answer = reqwest::get(url).await.unwrap();
    (answer.status(), answer.text().await.unwrap())
}

/// The address of the port for operators.
async fn ops(service: &mut Service) -> String {
    format!("http://{}", service.says("the port for operators is open address=").await.trim())
}

/// The metrics of a process, which `promtool` finds nothing wrong with.
async fn scrape(url: &str) -> String {
    let (status, metrics) = get(&format!("{url}/metrics")).await;
    assert_eq!(status, StatusCode::OK);
    let output = promtool(&["check", "metrics"], &metrics).await;
    assert!(output.0, "{}\n{metrics}", output.1);
    metrics
}

async fn promtool(args: &[&str], input: &str) -> (bool, String) {
    let mut command = Command::new(format!("{}/promtool", setting("PISYNC_TEST_BIN")));
    command.args(args).current_dir(workspace_root().join("deploy/prometheus"));
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("promtool");
    child.stdin.take().unwrap().write_all(input.as_bytes()).await.unwrap();
    let output = child.wait_with_output().await.unwrap();
    let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    // It warns and ends with 0 for some faults.
    (output.status.success() && (args[0] != "check" || args[1] != "metrics" || said.is_empty()), said)
}

/// The sum of the samples that begin so.
fn sum(metrics: &str, sample: &str) -> f64 {
    let of = |line: &str| {
        let rest = line.strip_prefix(sample)?;
        rest.rsplit(' ').next()?.parse::<f64>().ok().filter(|_| rest.starts_with([' ', '{']))
    };
    let found: Vec<_> = metrics.lines().filter_map(of).collect();
    assert!(!found.is_empty(), "no {sample} in\n{metrics}");
    found.iter().sum()
}

/// Asserts what the samples sum up to.
fn has(metrics: &str, expected: &[(&str, f64)]) {
    for (sample, value) in expected {
        let found = sum(metrics, sample);
        assert!((found - value).abs() < f64::EPSILON, "{sample} is {found}, not {value}:\n{metrics}");
    }
}

/// Four failed syncs of which two are the same, a good one, one with a wrong clock, one refused;
/// a message that is no event.
async fn traffic(env: &TestEnv, api: &Api) {
    let mut wrong = body("wrong-clock", hours_ago(1), false);
    wrong["timestamp"] = json!("1999-01-01T00:00:00Z");
    let failed = |hour| body("pibook-7", hours_ago(hour), true);
    let last = failed(1);
    api.accepts(&[failed(3), failed(2), last.clone(), last, body("well", hours_ago(1), false), wrong]).await;
    assert_eq!(api.post(&json!({ "deviceId": 1 })).await.status(), StatusCode::BAD_REQUEST);
    let queue = env.queue();
    queue.push(queue.partitions().next().unwrap(), &[b"no event".to_vec()], 1_000).await.unwrap();
}

#[tokio::test]
async fn the_metrics_of_all_processes_tell_what_happened() {
    let env = TestEnv::new();
    let api = env.api(&[]).await;
    traffic(&env, &api).await;
    let before = scrape(&api.url).await;
    has(&before, &[("pisync_accepts_total", 6.0), ("pisync_queue_waiting_events", 7.0), ("pisync_redis_up", 1.0)]);
    assert_eq!(before.lines().filter(|line| line.starts_with("pisync_queue_waiting_events{")).count(), 4);

    let mut worker = env.worker("worker.log", &OPS).await;
    let worker_url = ops(&mut worker).await;
    env.drained().await;
    let mut alerter = env.alerter("alerter.log", &OPS).await;
    let alerter_url = ops(&mut alerter).await;
    env.has_alerts(1).await;
    env.until("a message that is noted as sent", async || {
        sum(&get(&format!("{alerter_url}/metrics")).await.1, "pisync_notifications_total{result=\"sent\"}") > 0.5
    })
    .await;

    api.get("/api/device/pibook-7/sync-history").await;
    let ingest = scrape(&api.url).await;
    has(
        &ingest,
        &[
            ("pisync_accepts_total", 6.0),
            ("pisync_refusals_total{code=\"400\"}", 1.0),
            ("pisync_refusals_total{code=\"503\"}", 0.0),
            ("pisync_request_duration_seconds_count{route=\"/api/sync-event\",status=\"2xx\"}", 6.0),
            ("pisync_request_duration_seconds_count{route=\"/api/sync-event\",status=\"4xx\"}", 1.0),
            ("pisync_queue_waiting_events", 0.0),
            ("pisync_queue_in_flight_events", 0.0),
            ("pisync_queue_dead_letters", 1.0),
            ("pisync_build_info", 1.0),
        ],
    );
    let stored = scrape(&worker_url).await;
    has(
        &stored,
        &[
            ("pisync_batch_events_sum", 7.0),
            ("pisync_stored_total", 5.0),
            ("pisync_duplicates_total", 1.0),
            ("pisync_clock_suspects_total", 1.0),
            ("pisync_dead_letters_total{reason=\"malformed\"}", 1.0),
            ("pisync_redelivered_total", 0.0),
        ],
    );
    let told = scrape(&alerter_url).await;
    has(
        &told,
        &[
            ("pisync_devices{status=\"failing\"}", 1.0),
            ("pisync_alerts{state=\"firing\"}", 1.0),
            ("pisync_notifications_total{result=\"sent\"}", 1.0),
            ("pisync_notifications_total{result=\"retried\"}", 0.0),
        ],
    );
    let all = [ingest, stored, told].concat();
    assert!(all.contains("/api/device/{id}/sync-history") && !all.contains("pibook"), "a device in a label:\n{all}");
    every_name_is_exposed(&all);
    for url in [worker_url, alerter_url] {
        assert_eq!(get(&format!("{url}/readyz")).await.0, StatusCode::OK);
        assert_eq!(get(&format!("{url}/healthz")).await.0, StatusCode::OK);
        assert_eq!(get(&format!("{url}/")).await.0, StatusCode::NOT_FOUND);
    }
    env.finish().await;
}

/// Holds the rules and the dashboard against what was scraped.
fn every_name_is_exposed(metrics: &str) {
    let exposed: BTreeSet<_> = metrics
        .lines()
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| line.split(['{', ' ']).next())
        .collect();
    for file in ["deploy/prometheus/pisync.rules.yml", "deploy/grafana/pisync.json"] {
        let text = std::fs::read_to_string(workspace_root().join(file)).unwrap();
        let is_name = |char: char| char.is_ascii_alphanumeric() || char == '_';
        let names: BTreeSet<_> = text.split(|char| !is_name(char)).filter(|word| word.starts_with("pisync_")).collect();
        assert!(names.len() > 5, "{file} names only {names:?}");
        for name in names {
            assert!(exposed.contains(name), "{file} names {name}, which is not among {exposed:?}");
        }
    }
}

#[tokio::test]
async fn the_rules_are_well_formed_and_fire_when_they_should() {
    for args in [["check", "rules", "pisync.rules.yml"], ["test", "rules", "pisync.rules.test.yml"]] {
        let (success, said) = promtool(&args, "").await;
        assert!(success, "{said}");
    }
}

#[tokio::test]
async fn a_batch_that_comes_again_counts_as_redelivered_and_its_rows_as_duplicates() {
    let env = TestEnv::new();
    let api = env.api(&[]).await;
    api.accepts(&[body("a", hours_ago(2), true), body("a", hours_ago(1), true)]).await;
    let dies = ["--lease-ms", "300", "--crash-at", "after_insert_before_counter"];
    assert!(!env.start("first.log", "queue-worker", &dies).ended().await.success());
    let mut second = env.worker("second.log", &OPS).await;
    let url = ops(&mut second).await;
    env.drained().await;
    has(
        &scrape(&url).await,
        &[("pisync_redelivered_total", 2.0), ("pisync_stored_total", 0.0), ("pisync_duplicates_total", 2.0)],
    );
    env.finish().await;
}

#[tokio::test]
async fn an_alerter_that_cannot_look_is_not_ready() {
    let env = TestEnv::new();
    // It looks once at its start and then, by this schedule, not before the first of January.
    let mut alerter = env.alerter("alerter.log", &["--schedule", "0 0 1 1 *", OPS[0], OPS[1]]).await;
    let url = ops(&mut alerter).await;
    env.until("a tick", async || get(&format!("{url}/readyz")).await.0 == StatusCode::OK).await;
    let away = ["--mongo-uri", "mongodb://127.0.0.1:1/?serverSelectionTimeoutMS=200", "--alert-log", "other.log"];
    let mut other = env.start("other-alerter.log", "alerter", &[&away[..], &OPS].concat());
    let (status, ready) = get(&format!("{}/readyz", ops(&mut other).await)).await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(
        serde_json::from_str::<Value>(&ready).unwrap(),
        json!({ "status": "unavailable", "mongodb": "down", "ticks": "down" })
    );
    env.finish().await;
}

#[tokio::test]
async fn without_redis_the_metrics_are_served_and_say_so() {
    let folder = tempfile::tempdir().unwrap();
    let mut redis = RedisServer::start(folder.path().join("redis"), &[]).await;
    let env = TestEnv::on_redis(&redis);
    let api = env.api(&[]).await;
    let mut worker = env.worker("worker.log", &OPS).await;
    let worker_url = ops(&mut worker).await;
    api.accepts(&[body("a", hours_ago(1), false)]).await;
    redis.service().kill().await;
    assert_eq!(api.post(&body("a", hours_ago(1), false)).await.status(), StatusCode::SERVICE_UNAVAILABLE);
    let start = Instant::now();
    has(
        &scrape(&api.url).await,
        &[("pisync_redis_up", 0.0), ("pisync_accepts_total", 1.0), ("pisync_refusals_total{code=\"503\"}", 1.0)],
    );
    assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
    let (status, ready) = get(&format!("{worker_url}/readyz")).await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
    assert!(ready.contains(r#""redis":"down""#) && ready.contains(r#""mongodb":"up""#), "{ready}");
    redis.restart().await;
    env.finish().await;
}

#[tokio::test]
async fn every_answer_has_a_request_id_and_the_log_tells_it_in_json() {
    let env = TestEnv::new();
    let mut command = env.command("ingest-api", &["--bind", "127.0.0.1:0", "--log-format", "json"]);
    command.env("RUST_LOG", "info,ingest_api=debug");
    let mut service = Service::start(command, &env.path("api.log"));
    let address = service.says(r#""address":""#).await;
    let url = format!("http://{}", address.split('"').next().unwrap());
    let ask = async |path: &str, id: Option<&str>| {
        let mut request = Client::new().get(format!("{url}{path}"));
        if let Some(id) = id {
            request = request.header("x-request-id", id);
        }
        let answer = request.header("x-other", "1").send().await.unwrap();
        answer.headers()["x-request-id"].to_str().unwrap().to_owned()
    };
    let long = "a".repeat(65);
    assert_eq!(ask("/healthz", Some("Ab.9_-")).await, "Ab.9_-");
    assert_eq!(ask("/nothing", Some("not-found")).await, "not-found");
    assert_eq!(ask("/api/sync-event", Some("bad-method")).await, "bad-method");
    assert_eq!(ask("/api/device/x/sync-history?page=0", Some("bad-page")).await, "bad-page");
    for unfit in [None, Some("a b"), Some(""), Some(long.as_str())] {
        let id = ask("/healthz", unfit).await;
        assert_eq!((id.len(), id.bytes().all(|byte| byte.is_ascii_hexdigit())), (16, true), "{id}");
    }
    let big = Client::new().get(format!("{url}/healthz")).header("x-big", "x".repeat(17_000));
    assert!(big.send().await.unwrap().headers().contains_key("x-request-id"));

    let written = service.log();
    let lines: Vec<Value> = written.lines().map(|line| serde_json::from_str(line).expect(line)).collect();
    for line in &lines {
        assert!(["time", "level", "target", "message"].iter().all(|key| line[key].is_string()), "{line}");
    }
    let line = lines.iter().find(|line| line["request_id"] == "bad-page").unwrap();
    assert_eq!((&line["method"], &line["status"]), (&"GET".into(), &400.into()), "{line}");
    assert_eq!(line["route"], "/api/device/{id}/sync-history", "{line}");
    assert!(line["duration_seconds"].as_f64().unwrap() > 0.0, "{line}");
    service.terminate().await;
    env.finish().await;
}
