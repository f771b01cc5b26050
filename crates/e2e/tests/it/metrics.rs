//! Metrics, readiness, request ids and the log, for operators.

use std::{collections::BTreeSet, process::Stdio, time::Duration};

use pisync_core::presence::LastSeen;
use reqwest::{Client, StatusCode};
use serde_json::{Value, json};
use testkit::{Api, RedisServer, Service, TestEnv, body, hours_ago, setting, workspace_root};
use tokio::{io::AsyncWriteExt, process::Command};

const OPS: [&str; 2] = ["--ops-bind", "127.0.0.1:0"];

async fn get(url: &str) -> (StatusCode, String) {
    let answer = reqwest::get(url).await.unwrap();
    (answer.status(), answer.text().await.unwrap())
}

/// Returns the URL of the port for operators.
async fn ops(service: &mut Service) -> String {
    format!("http://{}", service.says("the port for operators is open address=").await.trim())
}

/// Returns the metrics of a process, after a check by `promtool`.
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
    // For some faults it warns and ends with 0.
    (output.status.success() && (args[0] != "check" || args[1] != "metrics" || said.is_empty()), said)
}

/// Returns the sum of the samples with this prefix.
fn sum(metrics: &str, sample: &str) -> f64 {
    let of = |line: &str| {
        let rest = line.strip_prefix(sample)?;
        rest.rsplit(' ').next()?.parse::<f64>().ok().filter(|_| rest.starts_with([' ', '{']))
    };
    let found: Vec<_> = metrics.lines().filter_map(of).collect();
    assert!(!found.is_empty(), "no {sample} in\n{metrics}");
    found.iter().sum()
}

/// Asserts the sums of these samples.
fn has(metrics: &str, expected: &[(&str, f64)]) {
    for (sample, value) in expected {
        let found = sum(metrics, sample);
        assert!((found - value).abs() < f64::EPSILON, "{sample} is {found}, not {value}:\n{metrics}");
    }
}

/// Returns the metrics of a worker after it has counted so many events. It counts a batch just after the
/// acknowledgement that empties the queue.
async fn scrape_after(env: &TestEnv, url: &str, events: f64) -> String {
    let metrics = format!("{url}/metrics");
    env.until("counted batches", async || sum(&get(&metrics).await.1, "pisync_batch_events_sum") >= events).await;
    scrape(url).await
}

/// Sends four failed syncs of which two are the same, a good one, one with a wrong clock, an invalid one, and a
/// message that is no event.
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

    let failing = "pisync_devices{status=\"failing\"}";
    env.until("devices counted", async || sum(&get(&format!("{}/metrics", api.url)).await.1, failing) > 0.5).await;
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
            (failing, 1.0),
            ("pisync_devices{status=\"clock-suspect\"}", 1.0),
            ("pisync_devices{status=\"silent\"}", 0.0),
            ("pisync_devices{status=\"ok\"}", 1.0),
            ("pisync_build_info", 1.0),
        ],
    );
    let stored = scrape_after(&env, &worker_url, 7.0).await;
    has(
        &stored,
        &[
            ("pisync_batch_events_sum", 7.0),
            ("pisync_stored_total", 5.0),
            ("pisync_duplicates_total", 1.0),
            ("pisync_clock_suspects_total", 1.0),
            ("pisync_dead_letters_total{reason=\"malformed\"}", 1.0),
            ("pisync_redelivered_total", 0.0),
            ("pisync_late_total", 0.0),
        ],
    );
    let of_alerter = scrape(&alerter_url).await;
    has(
        &of_alerter,
        &[
            ("pisync_devices{status=\"failing\"}", 1.0),
            ("pisync_alerts{state=\"firing\"}", 1.0),
            ("pisync_notifications_total{result=\"sent\"}", 1.0),
            ("pisync_notifications_total{result=\"retried\"}", 0.0),
        ],
    );
    let all = [ingest, stored, of_alerter].concat();
    assert!(all.contains("/api/device/{id}/sync-history") && !all.contains("pibook"), "a device in a label:\n{all}");
    every_name_is_exposed(&all);
    every_metric_is_documented(&all);
    for url in [worker_url, alerter_url] {
        assert_eq!(get(&format!("{url}/readyz")).await.0, StatusCode::OK);
        assert_eq!(get(&format!("{url}/healthz")).await.0, StatusCode::OK);
        assert_eq!(get(&format!("{url}/")).await.0, StatusCode::NOT_FOUND);
    }
    env.finish().await;
}

/// Asserts that all metrics of the alerting rules and the dashboard were scraped.
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

/// Holds the reference against what was scraped. A family without a sample is not exposed.
fn every_metric_is_documented(metrics: &str) {
    let types = metrics.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next());
    let mut exposed: BTreeSet<_> = types.map(str::to_owned).collect();
    exposed.insert("pisync_unreadable_documents_total".to_owned());
    assert_eq!(crate::reference::metric_names(), exposed, "docs/reference/metrics.md");
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
    has(
        &scrape_after(&env, &url, 2.0).await,
        &[("pisync_redelivered_total", 2.0), ("pisync_stored_total", 0.0), ("pisync_duplicates_total", 2.0)],
    );
    env.finish().await;
}

#[tokio::test]
async fn an_event_that_comes_after_a_newer_one_counts_as_late_and_one_that_comes_twice_does_not() {
    let env = TestEnv::new();
    let api = env.api(&[]).await;
    let mut worker = env.worker("worker.log", &OPS).await;
    let url = ops(&mut worker).await;
    let failed = |hour| body("a", hours_ago(hour), true);
    for (reports, events, late, duplicates) in [
        (&[failed(5), failed(3)][..], 2.0, 0.0, 0.0),
        (&[failed(4)], 3.0, 1.0, 0.0),
        (&[failed(4), failed(3), failed(5)], 6.0, 1.0, 3.0),
        (&[failed(2), body("b", hours_ago(9), false)], 8.0, 1.0, 3.0),
        (&[failed(7)], 9.0, 2.0, 3.0),
    ] {
        api.accepts(reports).await;
        has(
            &scrape_after(&env, &url, events).await,
            &[("pisync_late_total", late), ("pisync_duplicates_total", duplicates)],
        );
    }
    assert_eq!(env.failure_count("a").await, 5);
    env.finish().await;
}

/// Without a worker at first, all events come in one batch, so the order within it matters as well.
#[tokio::test]
async fn an_event_is_late_within_its_batch_too() {
    let env = TestEnv::new();
    let api = env.api(&[]).await;
    api.accepts(&[1, 3, 2, 0].map(|hour| body("a", hours_ago(hour), false))).await;
    let mut worker = env.worker("worker.log", &OPS).await;
    let url = ops(&mut worker).await;
    has(&scrape_after(&env, &url, 4.0).await, &[("pisync_late_total", 2.0), ("pisync_stored_total", 4.0)]);
    env.finish().await;
}

/// Made-up names cannot fill Redis: beyond the limit the last-seen time of a new device is not stored.
#[tokio::test]
async fn beyond_the_most_devices_events_are_stored_and_only_their_last_word_is_left_out() {
    let env = TestEnv::new();
    let api = env.api(&[]).await;
    let mut worker = env.worker("worker.log", &[&OPS[..], &["--max-devices", "8"]].concat()).await;
    let url = ops(&mut worker).await;
    let seen = LastSeen::new(env.queue());
    let reports = |hour| (0..60).map(|i| body(&format!("pibook-{i}"), hours_ago(hour), true)).collect::<Vec<_>>();
    api.accepts(&reports(2)).await;
    env.drained().await;
    // Two for each of the four partitions.
    assert_eq!(seen.count().await.unwrap(), 8);
    assert_eq!((env.rows().await.len(), env.failure_count("pibook-59").await), (60, 1));
    has(
        &scrape_after(&env, &url, 60.0).await,
        &[("pisync_devices_not_noted_total", 52.0), ("pisync_stored_total", 60.0)],
    );

    let at = hours_ago(0);
    api.accepts(&reports(1)).await;
    env.drained().await;
    let known = seen.page(None, None, None, 100).await.unwrap();
    assert!(known.len() == 8 && known.iter().all(|(_, heard)| *heard >= at), "{known:?}");
    has(&scrape_after(&env, &url, 120.0).await, &[("pisync_devices_not_noted_total", 104.0)]);
    let (status, device) = api.get("/api/v1/devices?limit=60").await;
    assert_eq!((status.as_u16(), device["items"].as_array().unwrap().len()), (200, 60));
    env.finish().await;
}

#[tokio::test]
async fn an_alerter_that_cannot_look_is_not_ready() {
    let env = TestEnv::new();
    // It ticks at its start and then, by this schedule, not before the first of January.
    let mut alerter = env.alerter("alerter.log", &["--schedule", "0 0 1 1 *", OPS[0], OPS[1]]).await;
    let url = ops(&mut alerter).await;
    env.until("a tick", async || get(&format!("{url}/readyz")).await.0 == StatusCode::OK).await;
    let away = ["--mongo-uri", "mongodb://127.0.0.1:1/?serverSelectionTimeoutMS=200", "--alert-log", "other.log"];
    let mut other = env.start("other-alerter.log", "alerter", &[&away[..], &OPS].concat());
    let (status, ready) = get(&format!("{}/readyz", ops(&mut other).await)).await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
    let ready: Value = serde_json::from_str(&ready).unwrap();
    assert_eq!((&ready["mongodb"], &ready["ticks"]), (&json!("down"), &json!("down")), "{ready}");
    let causes: Vec<_> = ready["refused"].as_array().unwrap().iter().map(|refused| &refused["cause"]).collect();
    assert_eq!(causes, [&json!("mongodb_away"), &json!("ticks_late")], "{ready}");
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
    let start = testkit::stopwatch();
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
