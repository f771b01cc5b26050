//! Unusual requests of honest clients: each is accepted, or the answer names the cause.

use std::{collections::BTreeMap, io::Write};

use reqwest::{Client, Method, Response, redirect::Policy};
use serde_json::{Value, json};
use testkit::{Api, TestEnv, body, hours_ago};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    process::Command,
};

fn gzip(text: &str) -> Vec<u8> {
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    packed.write_all(text.as_bytes()).unwrap();
    packed.finish().unwrap()
}

fn zlib(text: &str) -> Vec<u8> {
    let mut packed = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::default());
    packed.write_all(text.as_bytes()).unwrap();
    packed.finish().unwrap()
}

/// Posts these bytes with these headers; returns the status and the answer.
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
    let (api, _worker) = (env.api(&[]).await, env.work().await);
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
        (single, &[json], zlib(&report), 415, "looks like zlib"),
        (single, &[], zlib(&report), 415, "looks like zlib"),
        (single, &[json, ("content-encoding", "gzip")], zlib(&report), 415, "looks like zlib"),
        (single, &[json], vec![0x28, 0xb5, 0x2f, 0xfd, 0x24, 2, 0x11], 415, "looks like zstd"),
        ("/api/v1/sync-events", &[json], zlib(&report), 415, "Content-Encoding: gzip"),
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

/// curl as people type it: its own content type, and `Expect: 100-continue` before a large body.
#[tokio::test]
async fn a_careless_curl_is_taken() {
    let env = TestEnv::new();
    let (api, _worker) = (env.api(&[]).await, env.work().await);
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

/// Returns the headers of an answer that depend neither on the time nor on the encoding of the body.
fn lasting(answer: &Response) -> BTreeMap<String, String> {
    let headers = answer
        .headers()
        .iter()
        .filter(|(name, _)| !["date", "x-request-id", "transfer-encoding"].contains(&name.as_str()));
    headers.map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned())).collect()
}

#[tokio::test]
async fn head_is_what_get_is_without_the_body() {
    let env = TestEnv::new();
    let (api, _worker) = (env.api(&[]).await, env.work().await);
    api.accepts(&[body("pibook-1", hours_ago(1), true)]).await;
    env.drained().await;
    let (_, document) = api.get("/openapi.json").await;
    let paths = document["paths"].as_object().unwrap().iter();
    let described =
        paths.filter(|(_, item)| item.get("get").is_some()).map(|(path, _)| path.replace("{id}", "pibook-1"));
    let others = [
        ("/devices", 200),
        ("/device?id=pibook-1", 200),
        ("/docs", 308),
        ("/docs/", 200),
        ("/openapi.json", 200),
        ("/assets/dashboard.css", 200),
        ("/assets/none", 404),
        ("/api/v1/devices/nobody", 404),
        ("/api/v1/devices?status=well", 400),
        ("/api/v1/devices?stauts=failing", 400),
        ("/api/device/a/sync-history?limit=0", 400),
        ("/api/v1/devices/", 404),
        ("/api/nothing", 404),
        ("/api/sync-event", 405),
    ];
    let client = Client::builder().redirect(Policy::none()).build().unwrap();
    let others = others.map(|(path, status)| (path.to_owned(), Some(status)));
    let mut count = 0;
    for (path, status) in described.map(|path| (path, None)).chain(others) {
        let ask = async |method| client.request(method, format!("{}{path}", api.url)).send().await.unwrap();
        let (get, head) = (ask(Method::GET).await, ask(Method::HEAD).await);
        assert_eq!(head.status(), get.status(), "{path}");
        assert!(status.is_none_or(|status| head.status().as_u16() == status), "{path}: {}", head.status());
        assert_eq!(lasting(&head), lasting(&get), "{path}");
        assert_eq!(head.text().await.unwrap(), "", "{path}");
        count += 1;
    }
    assert!(count > 25, "{count}");
    for path in ["/api/v1/sync-events", "/sign-out"] {
        assert_eq!(client.head(format!("{}{path}", api.url)).send().await.unwrap().status().as_u16(), 405, "{path}");
    }
    // No byte of a body, whatever its length, though the next request is there already: its answer begins at the
    // head's end.
    let two = |path: &str| {
        let head = |method, path, more| format!("{method} {path} HTTP/1.1\r\nHost: localhost\r\n{more}\r\n");
        head("HEAD", path, "") + &head("GET", "/healthz", "Connection: close\r\n")
    };
    for path in ["/docs/swagger-ui-bundle.js", "/api/v1/devices/pibook-1/sync-events.csv", "/api/nothing"] {
        let mut stream = TcpStream::connect(api.url.trim_start_matches("http://")).await.unwrap();
        stream.write_all(two(path).as_bytes()).await.unwrap();
        let mut said = String::new();
        stream.read_to_string(&mut said).await.unwrap();
        let (first, rest) = said.split_once("\r\n\r\n").unwrap();
        assert!(first.starts_with("HTTP/1.1 ") && rest.starts_with("HTTP/1.1 200 OK\r\n"), "{path}: {said}");
        assert_eq!(first.to_lowercase().contains("content-length"), !path.contains(".csv"), "{path}: {first}");
    }
    env.finish().await;
}

#[tokio::test]
async fn a_path_that_is_written_wrongly_is_answered_with_the_right_one() {
    let env = TestEnv::new();
    let api = env.api(&[]).await;
    let report = body("pibook-1", hours_ago(1), false).to_string();
    for (method, path, meant) in [
        (Method::POST, "/Api/Sync-Event", "POST /api/sync-event?"),
        (Method::POST, "/api/sync_event", "POST /api/sync-event?"),
        (Method::POST, "/api/v1/sync-event", "POST /api/v1/sync-events?"),
        (Method::POST, "/api/sync-event%20", "POST /api/sync-event?"),
        (Method::POST, "/api/sync-event;x=1", "POST /api/sync-event?"),
        (Method::POST, "/sync-event", "POST /api/sync-event?"),
        (Method::GET, "/api//v1/devices", "GET /api/v1/devices?"),
        (Method::GET, "/api/v1/devices/", "GET /api/v1/devices?"),
        (Method::GET, "/api/v1/Devices/pibook-1/sync_events", "GET /api/v1/devices/pibook-1/sync-events?"),
        (Method::DELETE, "/api/v1/alert", "GET or HEAD /api/v1/alerts?"),
    ] {
        let request = Client::new().request(method.clone(), format!("{}{path}", api.url));
        let answer = request.header("content-type", "application/json").body(report.clone()).send().await.unwrap();
        assert_eq!(answer.status().as_u16(), 404, "{method} {path}");
        let problem: Value = answer.json().await.unwrap();
        let said = problem["detail"].as_str().unwrap();
        assert!(said.contains(&format!("did you mean {meant}")), "{method} {path}: {said}");
    }
    assert_eq!(api.get("/api/nothing").await.1["detail"], "there is no such route");
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
        ("/api/v1/devices?q=%ff", "q must be percent-encoded UTF-8, and %ff is not"),
        ("/api/v1/devices?q=caf%E9", "q must be percent-encoded UTF-8"),
        ("/api/v1/devices?%ff=1", "a name must be percent-encoded UTF-8"),
        ("/api/device/a/sync-history?page=2&page=3", "page is given twice"),
        ("/api/device/a/sync-history?page=1000&limit=200", "page must be at most 50 with this limit"),
        ("/api/v1/devices?status=well", "status must be"),
    ] {
        let (status, problem) = api.get(path).await;
        assert_eq!(status.as_u16(), 400, "{path}: {problem}");
        // A sentence about the invalid member, which is named once.
        let (said, fault) = (problem["detail"].as_str().unwrap(), &problem["errors"][0]);
        let (name, detail) = (fault["pointer"].as_str().unwrap().trim_start_matches('/'), fault["detail"].as_str());
        assert_eq!(said.trim_start(), format!("{name} {}", detail.unwrap()).trim_start(), "{path}");
        assert!(
            name.is_empty() || said.split([' ', ',', '?']).filter(|word| *word == name).count() == 1,
            "{path}: {said}"
        );
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
    let _worker = env.work().await;
    env.finish().await;
}
