//! The identity of reports, and the order of rows with the same time.

use std::{
    collections::{BTreeMap, HashSet},
    time::Duration,
};

use jiff::SignedDuration;
use pisync_core::{
    models::{ClockRepeats, DeviceId, SyncEvent},
    store::StoredEvent,
};
use serde_json::{Value, json};
use testkit::{
    Service, TestEnv, body, hours_ago, mongo_command,
    world::{all, column, push, store_events},
};

/// Returns a report by a clock without a battery, one minute after its start.
fn of_1970(device: &str, errors: i32) -> Value {
    json!({
        "deviceId": device, "timestamp": "1970-01-01T00:01:00Z",
        "totalFilesSynced": 0, "totalErrors": errors, "internetSpeed": 0
    })
}

#[tokio::test]
async fn different_reports_of_one_instant_are_rows_of_their_own_and_a_resend_is_none() {
    let env = TestEnv::new();
    let (api, _worker) = (env.api(&[]).await, env.worker("worker.log", &[]).await);
    let (one, two, three) = (of_1970("pibook-1", 1), of_1970("pibook-1", 2), of_1970("pibook-1", 3));
    api.accepts(&[one.clone(), two.clone(), three, one.clone(), two]).await;
    // Labels are not part of a report's identity; a report id is all of it.
    let mut labelled = one.clone();
    labelled["labels"] = json!({ "region": "nord" });
    let named = |id: &str, errors| {
        let mut report = of_1970("pibook-2", errors);
        report["reportId"] = json!(id);
        report
    };
    api.accepts(&[labelled, named("a", 1), named("b", 1), named("a", 7)]).await;
    env.drained().await;

    let rows = env.rows().await;
    let of = |device: &str| rows.iter().filter(|row| row.device_id == device).collect::<Vec<_>>();
    assert_eq!((of("pibook-1").len(), of("pibook-2").len()), (3, 2), "{rows:?}");
    assert_eq!((env.failure_count("pibook-1").await, env.failure_count("pibook-2").await), (3, 2));
    // The documented vector, computed by another program.
    assert!(rows.iter().any(|row| row.id.to_string() == "0000003cfa66676d4f6b1c99"), "{rows:?}");
    let output = env.command("queue-worker", &["counters", "rebuild"]).output().await.unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(env.failure_count("pibook-1").await, 3);
    env.finish().await;
}

/// Returns the ids in the promised order: newest first, ties by id.
fn in_order(mut rows: Vec<StoredEvent>) -> Vec<String> {
    rows.sort_by_key(|row| std::cmp::Reverse((row.timestamp, row.id)));
    rows.into_iter().map(|row| row.id.to_string()).collect()
}

#[tokio::test]
async fn rows_of_one_time_lie_in_order_of_their_ids_on_every_page() {
    let env = TestEnv::new();
    let now = hours_ago(0);
    let hour = |hours| now - SignedDuration::from_hours(hours);
    let mut events = Vec::new();
    for (hours, count) in [(1, 1), (2, 13), (3, 1), (4, 1), (5, 9), (6, 2)] {
        for number in 0..count {
            let mut report = body("a", hour(hours), number % 3 == 0);
            report["reportId"] = json!(format!("{hours}-{number}"));
            report["labels"] = json!({ "number": number });
            let event = SyncEvent::from_json(report.to_string().as_bytes(), now).unwrap();
            events.push((event.id(), event));
        }
    }
    fastrand::shuffle(&mut events);
    store_events(&env, &events).await;
    let expected = in_order(env.rows().await);
    assert_eq!(expected.len(), 27);

    let api = env.api(&[]).await;
    for limit in [1, 2, 3, 5, 7, 13, 26, 27, 100] {
        let mut found = Vec::new();
        for page in 1..=expected.len().div_ceil(limit) {
            let (_, answer) = api.get(&format!("/api/device/a/sync-history?page={page}&limit={limit}")).await;
            assert_eq!(answer["data"]["totalResults"], 27);
            let results = answer["data"]["results"].as_array().unwrap();
            found.extend(results.iter().map(|row| row["_id"].as_str().unwrap().to_owned()));
        }
        assert_eq!(found, expected, "pages of {limit}");
        let items = all(&api, &format!("/api/v1/devices/a/sync-events?limit={limit}"), "_id").await;
        assert_eq!(column(&items, "_id"), expected, "by cursor, pages of {limit}");
    }
    let csv =
        reqwest::get(format!("{}/api/v1/devices/a/sync-events.csv", api.url)).await.unwrap().text().await.unwrap();
    let lines: Vec<_> = csv.lines().skip(1).map(|line| line.split(',').next().unwrap()).collect();
    assert_eq!(lines, expected);

    // A read of the newest rows of many devices has the same order.
    let (store, device) = (env.store().await, DeviceId::parse("a").unwrap());
    for (before, most) in [(now, 1), (now, 5), (hour(1), 4), (hour(1), 13), (hour(3), 30), (hour(4), 3)] {
        let rows = store.sync_events().newest_rows(&[(&device, before)], most).await.unwrap();
        let of_all = env.rows().await.into_iter().filter(|row| row.timestamp < before).collect();
        let expected: Vec<_> = in_order(of_all).into_iter().take(most as usize).collect();
        assert_eq!(rows.iter().map(|row| row.id.to_string()).collect::<Vec<_>>(), expected, "{most} before {before}");
    }
    env.finish().await;
}

#[tokio::test]
async fn of_many_newest_rows_of_one_time_the_one_with_the_highest_id_is_the_newest() {
    let env = TestEnv::new();
    let at = hours_ago(1);
    let mut events = Vec::new();
    for device in 0..30 {
        for number in 0..5 {
            let mut report = body(&format!("pibook-{device}"), at, fastrand::bool());
            report["reportId"] = json!(format!("{device}-{number}"));
            report["labels"] = json!({ "number": number });
            let event = SyncEvent::from_json(report.to_string().as_bytes(), at).unwrap();
            events.push((event.id(), event));
        }
    }
    fastrand::shuffle(&mut events);
    store_events(&env, &events).await;
    let mut newest = BTreeMap::new();
    events.sort_by_key(|(id, _)| *id);
    for (_, event) in &events {
        newest.insert(event.device_id.clone(), event);
    }
    let devices: Vec<_> = newest.keys().collect();
    let sync_events = env.store().await.sync_events();
    let labels = sync_events.newest_labels(&devices).await.unwrap();
    let good: HashSet<_> = sync_events.newest_if_good(&devices).await.unwrap().into_iter().collect();
    let of_each = sync_events.newest_of_each(&devices).await.unwrap();
    assert_eq!(of_each.len(), 30);
    for (device, row) in of_each {
        let event = newest[&device];
        assert_eq!((row.failed, row.timestamp), (event.failed(), event.time.timestamp), "{device}");
        assert_eq!(labels[&device], event.details.labels, "{device}");
        assert_eq!(good.contains(&(device.to_string(), row.timestamp)), !event.failed(), "{device}");
    }
    // The windows of the fleet use the newest report of each device too.
    let minute = SignedDuration::from_mins(1);
    let window = sync_events.window(at - minute..at + minute, 0.5).await.unwrap();
    let failing = newest.values().filter(|event| event.failed()).count();
    let failed = window.connectivity + window.content + window.unknown;
    assert_eq!((window.reporting, failed), (30, failing as u64));
    env.finish().await;
}

/// Cloned cards: several devices with one name report at the same times with different results. In any order, batch
/// size and repetition, counters are the fold of the rows.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn counters_of_cloned_cards_are_the_fold_of_their_rows() {
    let env = TestEnv::new();
    let now = hours_ago(0);
    let mut reports = Vec::new();
    for device in 0..10 {
        for hour in 1..=6 {
            for clone in 0..4 {
                let at = now - SignedDuration::from_hours(hour);
                let mut report = body(&format!("pibook-{device}"), at, fastrand::u8(0..10) < 6);
                report["totalFilesSynced"] = json!(clone);
                reports.push((report, now));
            }
        }
    }
    let resent: Vec<_> = fastrand::choose_multiple(&reports, 80).into_iter().cloned().collect();
    reports.extend(resent);
    fastrand::shuffle(&mut reports);
    push(&env, &reports).await;
    let batch = fastrand::u16(1..30).to_string();
    for round in 0..4 {
        let point = ["after_insert_before_counter:5", "after_counter_before_ack:4"][round % 2];
        let args = ["--batch", &batch, "--lease-ms", "300", "--crash-at", point];
        let mut worker = env.worker(&format!("worker-{round}.log"), &args).await;
        testkit::pass(Duration::from_millis(100)).await;
        worker.kill().await;
    }
    let _last = env.worker("last.log", &["--batch", &batch]).await;
    env.drained().await;
    let mut of_device = BTreeMap::<_, Vec<_>>::new();
    for row in env.rows().await {
        of_device.entry(row.device_id.clone()).or_default().push(row);
    }
    for (device, mut rows) in of_device {
        assert_eq!(rows.len(), 24, "{device}");
        rows.sort_by_key(|row| std::cmp::Reverse((row.timestamp, row.id)));
        let failed = rows.iter().take_while(|row| row.total_errors > 0).count();
        assert_eq!(env.failure_count(&device).await, i32::try_from(failed).unwrap(), "{device}, batches of {batch}");
    }
    env.finish().await;
}

/// A device whose clock begins in 1970 at each start, and that sets no report id, repeats the same report.
#[tokio::test]
async fn a_clock_that_repeats_is_counted_once_for_each_report_even_if_workers_die() {
    let env = TestEnv::new();
    let now = hours_ago(0);
    let minutes_ago = |minutes| now - SignedDuration::from_mins(minutes);
    let mut named = of_1970("named", 1);
    named["reportId"] = json!("1");
    let first = [
        (of_1970("a", 1), minutes_ago(300)),
        (of_1970("a", 1), minutes_ago(290)), // A resend of the first, after an answer that was lost.
        (of_1970("a", 1), minutes_ago(240)),
        (of_1970("a", 2), minutes_ago(240)), // Another row.
        (named.clone(), minutes_ago(300)),
        (named, minutes_ago(200)),
        (body("believed", minutes_ago(300), true), minutes_ago(299)),
        (body("believed", minutes_ago(300), true), minutes_ago(100)),
    ];
    push(&env, &first).await;
    for point in ["after_insert_before_counter", "after_counter_before_ack"] {
        let args = ["--lease-ms", "300", "--crash-at", point];
        ends(&mut env.start(&format!("{point}.log"), "queue-worker", &args)).await;
    }
    let mut worker = env.worker("worker.log", &[]).await;
    env.drained().await;
    let repeats = async |device: &str| env.counters().await[&DeviceId::parse(device).unwrap()].clock_repeats;
    assert_eq!(repeats("a").await, Some(ClockRepeats { count: 1, last_at: minutes_ago(240) }));
    assert_eq!((repeats("named").await, repeats("believed").await), (None, None));
    assert_eq!(env.failure_count("a").await, 2);
    assert!(worker.terminate().await.success());

    // The next ones come one by one, and the second batch is processed twice.
    push(&env, &[(of_1970("a", 1), minutes_ago(180)), (of_1970("a", 1), minutes_ago(120))]).await;
    let args = ["--batch", "1", "--lease-ms", "300", "--crash-at", "after_counter_before_ack:2"];
    ends(&mut env.start("second.log", "queue-worker", &args)).await;
    assert_eq!(repeats("a").await.unwrap().count, 3);
    let _last = env.worker("last.log", &[]).await;
    env.drained().await;
    assert_eq!(repeats("a").await.unwrap().count, 3);

    let api = env.api(&[]).await;
    let (_, device) = api.get("/api/v1/devices/a").await;
    assert_eq!(device["clockRepeats"]["count"], 3, "{device}");
    assert!(device["clockRepeats"]["lastAt"].as_str().unwrap().ends_with('Z'), "{device}");
    assert_eq!(api.get("/api/v1/devices/named").await.1.get("clockRepeats"), None);
    let page = reqwest::get(format!("{}/device?id=a", api.url)).await.unwrap().text().await.unwrap();
    assert!(page.contains("3 reports had the same time and content"), "{page}");
    assert!(page.contains("reportId would tell them apart"), "{page}");
    env.finish().await;
}

/// Waits until a process has crashed at its point.
async fn ends(service: &mut Service) {
    tokio::time::timeout(Duration::from_mins(1), service.ended()).await.expect("it dies");
}

#[tokio::test]
async fn what_looks_the_same_is_one_device_and_stored_names_are_found_byte_for_byte() {
    let env = TestEnv::new();
    let (api, _worker) = (env.api(&[]).await, env.worker("worker.log", &[]).await);
    let now = hours_ago(0);
    for (hour, name) in (1..).zip(["école 7", " école 7\r\n", "e\u{301}cole 7"]) {
        api.accepts(&[body(name, now - SignedDuration::from_hours(hour), true)]).await;
    }
    let batch = json!([body("\te\u{301}cole 7", now, true), body(" \n", now, true), body("a\u{200b}b", now, true)]);
    let (status, said) = api.send("POST", "/api/v1/sync-events", &batch).await;
    assert_eq!((status.as_u16(), &said["accepted"]), (202, &json!(1)), "{said}");
    assert_eq!((&said["rejected"][0]["code"], &said["rejected"][1]["code"]), (&json!("invalid"), &json!("invalid")));
    env.drained().await;
    assert_eq!(env.failure_count("école 7").await, 4);
    assert_eq!(env.counters().await.len(), 1);

    for (name, says) in [
        (" ", "none but white space"),
        ("pibo\u{200b}ok", "U+200B zero width space at character 5"),
        ("a\u{202e}b", "U+202E"),
        ("a\u{ad}b", "U+00AD soft hyphen"),
        ("\u{feff}a", "U+FEFF byte order mark"),
        ("a\u{3164}", "U+3164 Hangul filler"),
        ("a\tb", "U+0009 tab at character 2"),
        (&"x".repeat(129), "at most 128 characters"),
    ] {
        let (status, problem) = api.send("POST", "/api/sync-event", &body(name, now, true)).await;
        assert_eq!(status.as_u16(), 400, "{name:?}");
        assert_eq!(problem["errors"][0]["pointer"], "/deviceId", "{problem}");
        assert!(problem["errors"][0]["detail"].as_str().unwrap().contains(says), "{name:?}: {problem}");
    }

    // Rows of another program, with names that no report may have.
    let at = json!({ "$date": { "$numberLong": now.as_millisecond().to_string() } });
    let odd = [("a\u{200b}b", "a%E2%80%8Bb"), (" b ", "%20b%20"), ("e\u{301}", "e%CC%81"), ("a\nb", "a%0Ab")];
    for (name, path) in odd {
        let row =
            json!({ "deviceId": name, "timestamp": at, "totalErrors": 1, "totalFilesSynced": 0, "internetSpeed": 1 });
        mongo_command(&env, "insert", "SyncEvent", json!({ "documents": [row] })).await;
        let (status, history) = api.get(&format!("/api/device/{path}/sync-history")).await;
        assert_eq!((status.as_u16(), &history["data"]["results"][0]["deviceId"]), (200, &json!(name)), "{history}");
    }
    let output = env.command("queue-worker", &["counters", "rebuild"]).output().await.unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    for (name, path) in odd {
        let (status, device) = api.get(&format!("/api/v1/devices/{path}")).await;
        assert_eq!((status.as_u16(), &device["deviceId"], &device["failureCount"]), (200, &json!(name), &json!(1)));
    }
    let items = all(&api, "/api/v1/devices?limit=2", "deviceId").await;
    assert_eq!(items.len(), 5, "{items:?}");
    env.finish().await;
}

#[tokio::test]
async fn a_message_of_an_unknown_version_is_left_to_newer_workers_and_holds_up_nobody_else() {
    let env = TestEnv::new();
    let (api, queue) = (env.api(&[]).await, env.queue());
    let future = queue.partition_of(&DeviceId::parse("future").unwrap());
    let message = br#"{"v":9,"d":"future","r":1795424264001}"#;
    queue.push(future, &[message.to_vec()], 10).await.unwrap();
    let worker = env.worker("worker.log", &["--lease-ms", "1000"]).await;
    let others: Vec<_> = (0..60).map(|number| format!("pibook-{number}")).collect();
    let elsewhere = |name: &&String| queue.partition_of(&DeviceId::parse(name).unwrap()) != future;
    let reports: Vec<_> = others.iter().filter(elsewhere).map(|name| body(name, hours_ago(1), true)).collect();
    api.accepts(&reports).await;
    env.until("the others' rows", async || env.rows().await.len() == reports.len()).await;
    // Long enough for a spinning worker to claim it thousands of times.
    testkit::pass(Duration::from_secs(6)).await;
    let status = queue.status(future).await.unwrap();
    assert_eq!((status.ready + status.in_flight(), status.dead), (1, 0), "{status:?}");
    let batch = status.batch.as_ref().unwrap();
    assert!(batch.attempt <= 1 && batch.epoch <= 8, "{status:?}");
    assert_eq!(status.total("redelivered"), 0);
    let log = worker.log();
    assert_eq!(log.matches("is of a version unknown to this worker").count(), 1, "{log}");
    env.remove().await;
}
