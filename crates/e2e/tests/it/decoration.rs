//! An invalid optional member never makes a report invalid, and one bad report never affects the others of its batch.

use reqwest::{Client, Response};
use serde_json::{Value, json};
use testkit::{Api, TestEnv, body, hours_ago, mongo_find};

/// Returns a report with further members.
fn with(device: &str, hours: i64, members: &Value) -> Value {
    let mut report = body(device, hours_ago(hours), true);
    report.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
    report
}

async fn post(api: &Api, path: &str, body: impl Into<reqwest::Body>) -> (u16, Value) {
    let request = Client::new().post(format!("{}{path}", api.url)).header("content-type", "application/json");
    let answer: Response = request.body(body).send().await.unwrap();
    (answer.status().as_u16(), answer.json().await.unwrap())
}

fn pointers(said: &Value) -> Vec<(u64, &str)> {
    let ignored = said["ignored"].as_array().map(Vec::as_slice).unwrap_or_default();
    let place = |one: &Value| one["index"].as_u64().unwrap();
    ignored.iter().map(|one| (place(one), one["pointer"].as_str().unwrap())).collect()
}

#[tokio::test]
async fn a_report_id_and_an_error_are_stored_and_shown() {
    let env = TestEnv::new();
    let (api, _worker) = (env.api(&[]).await, env.worker("worker.log", &[]).await);
    let error = json!({ "code": "E_DISK", "message": "disk full, \"really\"" });
    api.accepts(&[with("a", 1, &json!({ "reportId": "b5-é", "error": error }))]).await;
    let labels = json!({ "region": "a;b", "group": "=1+1" });
    api.accepts(&[with("b", 1, &json!({ "report_id": "=1+1", "error": { "code": "E" }, "labels": labels }))]).await;
    api.accepts(&[body("c", hours_ago(1), true)]).await;
    env.drained().await;
    let stored = mongo_find(&env, "SyncEvent", json!({ "reportId": "b5-é" })).await;
    assert_eq!((stored.len(), &stored[0]["error"]), (1, &error), "{stored:?}");
    for path in ["/api/device/a/sync-history", "/api/v1/devices/a/sync-events", "/api/v1/devices/a"] {
        let (_, answer) = api.get(path).await;
        let text = answer.to_string();
        assert!(text.contains(r#""reportId":"b5-é""#) && text.contains(&error.to_string()), "{path}: {answer}");
    }
    let (_, plain) = api.get("/api/device/c/sync-history").await;
    let plain = &plain["data"]["results"][0];
    assert_eq!((plain.get("reportId"), plain.get("error")), (None, None), "{plain}");
    let csv = async |device: &str| {
        let url = format!("{}/api/v1/devices/{device}/sync-events.csv", api.url);
        reqwest::get(url).await.unwrap().text().await.unwrap()
    };
    let text = csv("a").await;
    assert!(text.lines().next().unwrap().ends_with(",reportId,errorCode,errorMessage,labels"), "{text}");
    assert!(text.lines().nth(1).unwrap().ends_with(r#",b5-é,E_DISK,"disk full, ""really""","#), "{text}");
    assert!(csv("b").await.lines().nth(1).unwrap().ends_with(r#",'=1+1,E,,"group==1+1;region=a\;b""#));
    env.finish().await;
}

#[tokio::test]
async fn what_cannot_be_kept_is_left_out_and_named_and_the_report_is_taken() {
    let env = TestEnv::new();
    let (api, _worker) = (env.api(&[]).await, env.worker("worker.log", &[]).await);
    let many: serde_json::Map<_, _> = (0..9).map(|n| (format!("n{n}"), json!("x"))).collect();
    let cases = [
        (json!({ "labels": "nord" }), "/labels"),
        (json!({ "labels": { "deviceId": "b" } }), "/labels/deviceId"),
        (json!({ "labels": { "a b": "c" } }), "/labels/a b"),
        (json!({ "labels": { "region": "x".repeat(65) } }), "/labels/region"),
        (json!({ "labels": { "a": "" } }), "/labels/a"),
        (json!({ "labels": { "a/b": "c" } }), "/labels/a~1b"),
        (json!({ "labels": many }), "/labels/n8"),
        (json!({ "reportId": "" }), "/reportId"),
        (json!({ "reportId": "x".repeat(65) }), "/reportId"),
        (json!({ "reportId": "a\u{200b}" }), "/reportId"),
        (json!({ "error": "disk full" }), "/error"),
        (json!({ "error": { "message": "no code" } }), "/error"),
        (json!({ "error": { "code": "E", "message": "x".repeat(201) } }), "/error/message"),
    ];
    for (number, (members, pointer)) in cases.iter().enumerate() {
        let report = with(&format!("pibook-{number}"), 1, members);
        let (status, said) = post(&api, "/api/sync-event", report.to_string()).await;
        assert_eq!((status, pointers(&said)), (202, vec![(0, *pointer)]), "{members}: {said}");
        assert_eq!((&said["success"], &said["message"]), (&json!(true), &json!("Sync event queued successfully")));
        let batch = json!([body("good", hours_ago(2), true), report]);
        let (status, said) = post(&api, "/api/v1/sync-events", batch.to_string()).await;
        assert_eq!((status, &said["accepted"], pointers(&said)), (202, &json!(2), vec![(1, *pointer)]), "{said}");
        assert!(said["ignored"][0]["detail"].as_str().unwrap().len() > 10, "{said}");
    }
    let kept = json!({ "labels": { "n": 7, "ok": true, "speed": 1.50, "bad": null, "region": " nord " } });
    let (_, said) = post(&api, "/api/sync-event", with("kept", 1, &kept).to_string()).await;
    assert_eq!(pointers(&said), [(0, "/labels/bad")]);
    let (_, said) = post(&api, "/api/sync-event", body("plain", hours_ago(1), true).to_string()).await;
    assert_eq!(said, json!({ "success": true, "message": "Sync event queued successfully" }));
    env.drained().await;
    let rows = mongo_find(&env, "SyncEvent", json!({ "deviceId": "kept" })).await;
    assert_eq!(rows[0]["labels"], json!({ "n": "7", "ok": "true", "region": "nord", "speed": "1.5" }));
    let rows = mongo_find(&env, "SyncEvent", json!({ "deviceId": "pibook-12" })).await;
    assert_eq!(rows[0]["error"], json!({ "code": "E" }));
    let metrics = reqwest::get(format!("{}/metrics", api.url)).await.unwrap().text().await.unwrap();
    for (member, count) in [("labels", 2 * 7 + 1), ("reportId", 2 * 3), ("error", 2 * 3), ("sentAt", 0)] {
        let line = format!("pisync_ingest_ignored_total{{member=\"{member}\"}} {count}");
        assert!(metrics.contains(&line), "{line} in {metrics}");
    }
    env.finish().await;
}

#[tokio::test]
async fn an_answer_stays_short_whatever_is_left_out() {
    let env = TestEnv::new();
    let api = env.api(&["--device-burst", "10000"]).await;
    let labels: serde_json::Map<_, _> =
        (0..20_000).map(|number| (format!("{number}~/ {}", "x".repeat(20)), json!("y"))).collect();
    let report = with("a", 1, &json!({ "labels": labels })).to_string();
    let (status, said) = post(&api, "/api/sync-event", report).await;
    assert_eq!((status, said["ignored"].as_array().unwrap().len()), (202, 11), "{said}");
    let labels: serde_json::Map<_, _> = (0..30).map(|number| (format!("{number}"), json!("y"))).collect();
    let reports: Vec<_> = (0..1_000).map(|hour| with("b", hour, &json!({ "labels": labels }))).collect();
    let (status, said) = post(&api, "/api/v1/sync-events", json!(reports).to_string()).await;
    assert_eq!((status, &said["accepted"]), (202, &json!(1_000)));
    assert_eq!(said["ignored"].as_array().unwrap().len(), 1_000);
    assert!(said.to_string().len() < 400_000, "{}", said.to_string().len());
    let _worker = env.worker("worker.log", &[]).await;
    env.finish().await;
}

#[tokio::test]
async fn an_item_that_is_no_json_fails_alone() {
    let env = TestEnv::new();
    let (api, _worker) = (env.api(&[]).await, env.worker("worker.log", &[]).await);
    let now = hours_ago(0);
    let good = |device: &str| body(device, now, true).to_string().into_bytes();
    let broken: [&[u8]; 10] = [
        b"{\"deviceId\":\"x\",\"internetSpeed\":NaN}",
        b"{\"deviceId\":\"x\ty\"}",
        b"{\"deviceId\":\"x\ny\"}",
        b"{\"deviceId\":\"\xe9\"}",
        b"{\"deviceId\":\"x\",}",
        b"{\"deviceId\":\"x\",\"deviceId\":\"y\"}",
        b"{'deviceId':1}",
        b"{\"deviceId\":\"x,\"timestamp\":1}",
        b"{\"deviceId\":\"x\",\"error\":{\"message\":\"C:\\\"}}",
        b"{\"deviceId\":\"x\"}}",
    ];
    for (number, item) in broken.into_iter().enumerate() {
        let (before, behind) = (good(&format!("a-{number}")), good(&format!("b-{number}")));
        let items = [&before[..], item, &behind].join(&b',');
        for body in [
            [b"[", &items[..], b"]"].concat(),
            [&b"\xef\xbb\xbf{\"sentAt\":null,\"events\":["[..], &items, b",]}"].concat(),
        ] {
            let (status, said) = post(&api, "/api/v1/sync-events", body).await;
            assert_eq!((status, &said["accepted"]), (202, &json!(2)), "{number}: {said}");
            let rejected = &said["rejected"];
            assert_eq!((rejected.as_array().unwrap().len(), &rejected[0]["index"]), (1, &json!(1)), "{said}");
            assert_eq!(rejected[0]["code"], "malformed", "{said}");
        }
    }
    for body in [&b"["[..], b"{\"events\":{}}", b"{\"events\" [{}]}"] {
        let (status, problem) = post(&api, "/api/v1/sync-events", body.to_vec()).await;
        assert_eq!((status, &problem["errors"][0]["code"]), (400, &json!("malformed")), "{problem}");
        assert!(problem["errors"][0]["detail"].as_str().unwrap().contains("at byte "), "{problem}");
    }
    let marked = [&b"\xef\xbb\xbf"[..], &good("marked")].concat();
    assert_eq!(post(&api, "/api/sync-event", marked).await.0, 202);
    env.drained().await;
    assert_eq!(env.rows().await.len(), 21);
    env.finish().await;
}

/// Returns a report as bytes, from a program that knows neither UTF-8 nor escapes.
fn by_hand(device: &[u8], more: &[u8]) -> Vec<u8> {
    let at = hours_ago(1).as_millisecond();
    let rest = format!("\",\"timestamp\":{at},\"totalFilesSynced\":0,\"totalErrors\":2,\"internetSpeed\":1");
    [b"{\"deviceId\":\"", device, rest.as_bytes(), more, b"}"].concat()
}

#[tokio::test]
async fn bytes_that_are_no_utf_8_and_control_characters_refuse_no_report_that_they_only_decorate() {
    let env = TestEnv::new();
    let (api, _worker) = (env.api(&[]).await, env.worker("worker.log", &[]).await);
    let good = body("good", hours_ago(2), true).to_string().into_bytes();
    let cases: [(&[u8], &[&str]); 8] = [
        (b",\"error\":{\"code\":\"E\",\"message\":\"line 1\n\tline 2\"}", &[]),
        (b",\"error\":{\"code\":\"E\",\"message\":\"C:\\Users\"}", &[]),
        (b",\"error\":{\"code\":\"E\",\"message\":\"d\xe9connect\xe9\"}", &["/error/message"]),
        (b",\"error\":{\"code\":\"E\",\"message\":\"cut \xe2\x82\"}", &["/error/message"]),
        (b",\"labels\":{\"region\":\"K\xf6ln\",\"group\":\"7\"}", &["/labels/region"]),
        (b",\"labels\":{\"r\xe9gion\":\"a\",\"group\":\"7\"}", &["/labels/r\u{fffd}gion"]),
        (b",\"labels\":{\"region\":\"a\tb\",\"group\":\"7\"}", &["/labels/region"]),
        (b",\"labels\":{\"group\":\"7\"},\"temperature\":NaN,\"note\":\"\xff\x01\"", &[]),
    ];
    for (number, (more, pointers_expected)) in cases.into_iter().enumerate() {
        let report = by_hand(format!("a-{number}").as_bytes(), more);
        let (status, said) = post(&api, "/api/sync-event", report.clone()).await;
        let expected: Vec<_> = pointers_expected.iter().map(|pointer| (0, *pointer)).collect();
        assert_eq!((status, pointers(&said)), (202, expected), "{number}: {said}");
        assert_eq!(post(&api, "/api/v1/sync-events", report.clone()).await.0, 202, "{number}: alone, as a batch");
        let batch = [b"[", &good[..], b",", &report, b",", &good, b"]"].concat();
        let (status, said) = post(&api, "/api/v1/sync-events", batch).await;
        let expected: Vec<_> = pointers_expected.iter().map(|pointer| (1, *pointer)).collect();
        assert_eq!((status, &said["accepted"], pointers(&said)), (202, &json!(3), expected), "{number}: {said}");
    }
    for (device, more, pointer) in [
        (&b"caf\xe9"[..], &b""[..], "/deviceId"),
        (b"a\tb", b"", "/deviceId"),
        (b"cut \xe2\x82", b",\"labels\":{\"a\":\"\xff\"}", "/deviceId"),
        (b"a", b",\"total_errors\":2", "/totalErrors"),
        (b"a", b",\"totalErrors\":2", "/totalErrors"),
    ] {
        let report = by_hand(device, more);
        let (status, said) = post(&api, "/api/sync-event", report.clone()).await;
        let fault = &said["errors"][0];
        assert_eq!((status, &fault["pointer"], &fault["code"]), (400, &json!(pointer), &json!("malformed")), "{said}");
        let batch = [b"[", &good[..], b",", &report, b",", &good, b"]"].concat();
        let (status, said) = post(&api, "/api/v1/sync-events", batch).await;
        assert_eq!((status, &said["accepted"]), (202, &json!(2)), "{said}");
        let rejected = &said["rejected"][0];
        assert_eq!((&rejected["index"], &rejected["code"]), (&json!(1), &json!("malformed")), "{said}");
        assert!(rejected["detail"].as_str().unwrap().contains(&pointer[1..]), "{said}");
    }
    env.drained().await;
    let stored = mongo_find(&env, "SyncEvent", json!({ "deviceId": "a-0" })).await;
    assert_eq!(stored[0]["error"], json!({ "code": "E", "message": "line 1 line 2" }));
    let stored = mongo_find(&env, "SyncEvent", json!({ "deviceId": "a-2" })).await;
    assert_eq!(stored[0]["error"]["message"], "d\u{fffd}connect\u{fffd}");
    let stored = mongo_find(&env, "SyncEvent", json!({ "deviceId": "a-4" })).await;
    assert_eq!((stored.len(), &stored[0]["labels"]), (1, &json!({ "group": "7" })));
    assert_eq!(env.rows().await.len(), 9);
    env.finish().await;
}

#[tokio::test]
async fn reports_are_told_apart_though_commas_and_quotes_are_missing() {
    let env = TestEnv::new();
    let (api, _worker) = (env.api(&[]).await, env.worker("worker.log", &[]).await);
    let good = |device: &str| body(device, hours_ago(1), true).to_string();
    let open = good("x").replace("\"totalErrors\"", "\"totalErrors");
    let path = r#"{"deviceId":"x","error":{"code":"E","message":"C:\"}}"#.to_owned();
    // A report quoted within a text is no report.
    let quoted =
        format!(r#"{{"deviceId":"x","error":{{"code":"E","message":"sent [{{}},{},{{}}]"}}}}"#, good("quoted"));
    for (broken, other) in [(&open, &path), (&path, &open), (&open, &open), (&quoted, &path)] {
        let items = [&good("a"), broken, &good("b"), other, &good("c")].map(String::as_str).join(",");
        for sent in [format!("[{items}]"), format!(r#"{{"sentAt":null,"events":[{items}]}}"#)] {
            let (status, said) = post(&api, "/api/v1/sync-events", sent.clone()).await;
            assert_eq!((status, &said["accepted"]), (202, &json!(3)), "{sent}: {said}");
            let places: Vec<_> = said["rejected"].as_array().unwrap().iter().map(|one| &one["index"]).collect();
            assert_eq!(places, [1, 3], "{sent}: {said}");
        }
    }
    let (status, said) = post(&api, "/api/v1/sync-events", format!("[{} {}]", good("d"), good("e"))).await;
    assert_eq!((status, &said["accepted"], &said["rejected"]), (202, &json!(2), &json!([])), "{said}");
    // If the end of a broken report is not certain, those behind it are to be sent again.
    let lost = open.replace("\"x\"", "\"x{\"");
    for (before, accepted) in [(good("f") + ",", 1), (String::new(), 0)] {
        let sent = format!("[{before}{lost},{},{}]", good("later"), good("later"));
        let (status, said) = post(&api, "/api/v1/sync-events", sent).await;
        assert_eq!((status, &said["accepted"]), (202, &json!(accepted)), "{said}");
        let codes: Vec<_> =
            said["rejected"].as_array().unwrap().iter().map(|one| (&one["index"], &one["code"])).collect();
        let at = |place: u64| json!(accepted + place);
        let expected = [(at(0), "malformed"), (at(1), "unread"), (at(2), "unread")];
        assert_eq!(json!(codes), json!(expected), "{said}");
        let detail = said["rejected"][0]["detail"].as_str().unwrap();
        assert!(detail.contains(&format!("begins at byte {} of the body", before.len() + 1)), "{detail}");
    }
    env.drained().await;
    let mut devices: Vec<_> = env.rows().await.into_iter().map(|row| row.device_id).collect();
    devices.sort();
    assert_eq!(devices, ["a", "b", "c", "d", "e", "f"]);
    env.finish().await;
}

#[tokio::test]
async fn a_clock_of_the_sender_that_is_no_time_refuses_no_report() {
    let env = TestEnv::new();
    let (api, _worker) = (env.api(&[]).await, env.worker("worker.log", &[]).await);
    for wrong in [r#""now""#, "NaN", "{}", "1.5"] {
        let body = format!(r#"{{"sentAt":{wrong},"events":[{}]}}"#, body("a", hours_ago(1), true));
        let (status, said) = post(&api, "/api/v1/sync-events", body).await;
        assert_eq!((status, &said["accepted"], pointers(&said)), (202, &json!(1), vec![(0, "/sentAt")]), "{said}");
    }
    env.finish().await;
}
