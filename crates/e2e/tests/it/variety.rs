//! What clients of other people send without meaning any harm: it is taken, or the answer names the cause.

use std::io::Write;

use e2e::{Api, TestEnv, body, hours_ago};
use reqwest::{Client, Method};
use serde_json::{Value, json};
use tokio::process::Command;

fn gzip(text: &str) -> Vec<u8> {
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    packed.write_all(text.as_bytes()).unwrap();
    packed.finish().unwrap()
}

/// Posts these bytes with these headers; the status, and what is said.
async fn post(api: &Api, path: &str, headers: &[(&str, &str)], body: impl Into<Vec<u8>>) -> (u16, String) {
    let mut request = Client::new().post(format!("{}{path}", api.url)).body(body.into());
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let answer = request.send().await.unwrap();
    (answer.status().as_u16(), answer.text().await.unwrap())
}

#[tokio::test]
async fn a_report_is_taken_however_its_client_writes_headers_and_paths() {
    let env = TestEnv::new();
    let (api, _worker) = (env.api(&[]).await, env.worker("worker.log", &[]).await);
    let mut devices = 0;
    let mut report = || {
        devices += 1;
        body(&format!("pibook-{devices}"), hours_ago(1), false).to_string()
    };
    let single = "/api/sync-event";
    for content_type in [
        "Application/JSON",
        "APPLICATION/JSON; charset=UTF-8",
        "application/json;charset=\"utf-8\"",
        "application/json; charset=windows-1252",
        "application/vnd.school+json",
        "text/plain",
        "text/json",
        "application/x-www-form-urlencoded",
        "application/octet-stream",
        "json",
    ] {
        let (status, said) = post(&api, single, &[("content-type", content_type)], report()).await;
        assert_eq!(status, 202, "{content_type}: {said}");
    }
    assert_eq!(post(&api, single, &[], report()).await.0, 202, "no content type");
    for wrapped in [
        format!("\u{feff}{}", report()),
        format!("{}\r\n", report()),
        format!("{}\0", report()),
        format!("\n {}", report()),
    ] {
        assert_eq!(post(&api, single, &[], wrapped.clone()).await.0, 202, "{wrapped:?}");
    }
    let packed = |coding: &'static str| [("content-type", "application/json"), ("content-encoding", coding)];
    for coding in ["GZIP", "x-gzip", "gzip, identity", "identity, gzip"] {
        assert_eq!(post(&api, single, &packed(coding), gzip(&report())).await.0, 202, "{coding}");
    }
    assert_eq!(post(&api, single, &packed("gzip"), report()).await.0, 202, "a proxy has unpacked it");
    assert_eq!(post(&api, single, &[], gzip(&report())).await.0, 202, "packed without a word");
    let padded = [gzip(&report()), vec![0; 100]].concat();
    assert_eq!(post(&api, single, &packed("gzip"), padded).await.0, 202, "zeros behind it");
    let text = report();
    let (first, second) = text.split_at(20);
    let members = [gzip(first), gzip(second)].concat();
    assert_eq!(post(&api, single, &packed("gzip"), members).await.0, 202, "several members");
    for path in
        ["//api/sync-event", "/api/sync-event/", "/api//sync-event//", "/api/sync%2Devent", "/api/sync-event?x=1"]
    {
        assert_eq!(post(&api, path, &[], report()).await.0, 202, "{path}");
    }

    let many = "/api/v1/sync-events";
    let lines =
        |count: usize, report: &mut dyn FnMut() -> String| (0..count).map(|_| report()).collect::<Vec<_>>().join("\n");
    for content_type in ["application/json", "application/x-ndjson", "text/plain", "application/x-www-form-urlencoded"]
    {
        let (status, said) = post(&api, many, &[("content-type", content_type)], lines(3, &mut report)).await;
        assert_eq!((status, said.contains("\"accepted\":3")), (202, true), "{content_type}: {said}");
        let (status, said) = post(&api, many, &[("content-type", content_type)], report()).await;
        assert_eq!((status, said.contains("\"accepted\":1")), (202, true), "{content_type}: {said}");
    }
    assert_eq!(post(&api, "/api/v1/sync-events/", &[], format!("[{}]", report())).await.0, 202);
    env.drained().await;
    assert_eq!(env.rows().await.len(), devices);
    env.finish().await;
}

#[tokio::test]
async fn what_cannot_be_taken_is_told_why() {
    let env = TestEnv::new();
    let api = env.api(&[]).await;
    let report = body("pibook-1", hours_ago(1), false).to_string();
    let utf16: Vec<u8> = report.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let json = ("content-type", "application/json");
    let single = "/api/sync-event";
    for (path, headers, bytes, status, cause) in [
        (single, &[json][..], utf16.clone(), 400, "UTF-16"),
        (single, &[json], [&[0xff, 0xfe], &utf16[..]].concat(), 400, "UTF-16"),
        (single, &[json], format!("[{report}]").into(), 400, "/api/v1/sync-events"),
        (single, &[json, ("content-encoding", "deflate")], report.clone().into(), 415, "deflate"),
        (
            single,
            &[("content-type", "application/x-www-form-urlencoded")],
            b"deviceId=a".to_vec(),
            415,
            "application/json",
        ),
        ("/api/api/sync-event", &[json], report.clone().into(), 404, "base URL"),
        ("/pisync/api/v1/sync-events", &[json], report.clone().into(), 404, "/api/v1/sync-events"),
        ("/", &[json], report.clone().into(), 404, "/api/sync-event"),
    ] {
        let (found, said) = post(&api, path, headers, bytes).await;
        assert_eq!(found, status, "{path} {cause}: {said}");
        assert!(said.contains(cause), "{path} {cause}: {said}");
        let problem: Value = serde_json::from_str(&said).unwrap();
        assert_eq!(problem["success"], json!(false));
    }
    env.finish().await;
}

/// curl as people type it: its own content type, and a question before a large body.
#[tokio::test]
async fn a_careless_curl_is_taken() {
    let env = TestEnv::new();
    let (api, _worker) = (env.api(&[]).await, env.worker("worker.log", &[]).await);
    let url = format!("{}/api/sync-event", api.url);
    for (device, args) in [("plain", &[][..]), ("expect", &["-H", "Expect: 100-continue"])] {
        let mut command = Command::new("curl");
        command
            .args(["-sS", "--noproxy", "*", "-d", &body(device, hours_ago(1), false).to_string()])
            .args(args)
            .arg(&url);
        let output = command.output().await.unwrap();
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(said.contains("\"success\":true"), "{device}: {said}");
    }
    env.drained().await;
    assert_eq!(env.rows().await.len(), 2);
    env.finish().await;
}

#[tokio::test]
async fn head_is_answered_wherever_get_is_and_runs_no_query() {
    let env = TestEnv::new();
    let api = env.api(&[]).await;
    let (_, document) = api.get("/openapi.json").await;
    let paths = document["paths"].as_object().unwrap().iter();
    let described =
        paths.filter(|(_, item)| item.get("get").is_some()).map(|(path, _)| path.replace("{id}", "pibook-1"));
    let pages =
        ["/", "/devices", "/alerts", "/silences", "/dead-letters", "/sign-in", "/docs", "/openapi.json", "/metrics"];
    let mut count = 0;
    for path in described.chain(pages.map(str::to_owned)) {
        let answer = Client::new().head(format!("{}{path}", api.url)).send().await.unwrap();
        assert_eq!(answer.status().as_u16(), 200, "{path}");
        assert_eq!(answer.text().await.unwrap(), "", "{path}");
        count += 1;
    }
    assert!(count > 20, "{count}");
    for path in ["/api/sync-event", "/api/v1/sync-events", "/sign-out"] {
        let answer = Client::new().request(Method::HEAD, format!("{}{path}", api.url)).send().await.unwrap();
        assert_eq!(answer.status().as_u16(), 405, "{path}");
    }
    env.finish().await;
}

#[tokio::test]
async fn unknown_parameters_are_refused_under_v1_alone() {
    let env = TestEnv::new();
    let api = env.api(&[]).await;
    for (path, hint) in [
        ("/api/v1/devices?stauts=failing", "did you mean status?"),
        ("/api/v1/devices/a?x=1", "takes none"),
        ("/api/v1/alerts?device_id=a", "did you mean deviceId?"),
        ("/api/v1/silences?all=true", "takes none"),
        ("/api/v1/fleet/summary?hours=3&_=1", "takes hours"),
        ("/api/v1/devices?limit=1&limit=2", "given twice"),
        ("/api/v1/devices/a/sync-events?form=0", "did you mean from?"),
    ] {
        let (status, problem) = api.get(path).await;
        assert_eq!(status.as_u16(), 400, "{path}: {problem}");
        assert!(problem["detail"].as_str().unwrap().contains(hint), "{path}: {problem}");
    }
    for path in [
        "/api/devices/repeated-failures?x=1",
        "/api/device/a/sync-history?x=1",
        "/healthz?x=1",
        "/readyz?x=1",
        "/metrics?x=1",
        "/?x=1",
        "/devices?x=1",
    ] {
        let answer = reqwest::get(format!("{}{path}", api.url)).await.unwrap();
        assert_eq!(answer.status().as_u16(), 200, "{path}");
    }
    assert_eq!(
        post(&api, "/api/v1/sync-events?x=1", &[], format!("[{}]", body("a", hours_ago(1), false))).await.0,
        202
    );
    let _worker = env.worker("worker.log", &[]).await;
    env.finish().await;
}
