//! Any input gets a problem with a 4xx, soon and in little memory, and a good request beside it succeeds.

use std::{io::Write, time::Duration};

use flate2::{Compression, write::GzEncoder};
use reqwest::{Client, RequestBuilder, Response};
use serde_json::{Value, json};
use testkit::{Api, TestEnv, body, hours_ago};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    task::JoinSet,
    time::timeout,
};

/// Time limit for the answer to a bad request.
const SOON: Duration = Duration::from_secs(5);

async fn good(api: &Api) {
    let report = body("good", hours_ago(1), false);
    let answer = timeout(SOON, api.post(&report)).await.expect("soon");
    assert_eq!(answer.status().as_u16(), 202);
}

/// Checks that the answer is a problem, and that the API is ready.
async fn refused(api: &Api, what: &str, status: u16, request: RequestBuilder) -> Value {
    let answer: Response = timeout(SOON, request.send()).await.expect("soon").unwrap_or_else(|e| panic!("{what}: {e}"));
    assert_eq!(answer.status().as_u16(), status, "{what}: {}", answer.text().await.unwrap());
    assert_eq!(answer.headers()["content-type"], "application/problem+json", "{what}");
    let problem: Value = answer.json().await.expect("JSON");
    assert_eq!((&problem["status"], &problem["success"]), (&status.into(), &false.into()), "{what}");
    good(api).await;
    problem
}

fn with(member: &str, value: &str) -> String {
    let mut report = body("pibook-1", hours_ago(1), false);
    report[member] = json!("\u{1}");
    report.to_string().replace("\"\\u0001\"", value)
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut packed = GzEncoder::new(Vec::new(), Compression::best());
    packed.write_all(bytes).unwrap();
    packed.finish().unwrap()
}

/// Returns a GiB of zeros, packed: the same packed MiB repeated, which is one valid gzip file.
fn bomb() -> Vec<u8> {
    gzip(&vec![b'0'; 1 << 20]).repeat(1 << 10)
}

#[tokio::test]
async fn a_body_that_is_no_event_is_named() {
    let env = TestEnv::new();
    let api = env.api(&[]).await;
    let client = Client::new();
    let post_as = |media_type: &str, body: Vec<u8>| {
        client.post(format!("{}/api/sync-event", api.url)).header("content-type", media_type).body(body)
    };
    let post = |body: Vec<u8>| post_as("application/json", body);
    let whole = body("a", hours_ago(1), false).to_string();
    let deep = format!("{}1{}", "[".repeat(10_000), "]".repeat(10_000));
    let twice = whole.replacen('{', r#"{"deviceId":"b","#, 1);
    for (what, text) in [
        ("an empty body", ""),
        ("truncated JSON", &whole[..40]),
        ("two values", &format!("{whole}{whole}")),
        ("a member twice", &twice),
        ("depth", &deep),
        ("a deep member", &with("totalErrors", &deep)),
        ("NaN", &with("internetSpeed", "NaN")),
        ("Infinity", &with("internetSpeed", "Infinity")),
        ("an array", &format!("[{whole}]")),
        ("a number", "7"),
    ] {
        refused(&api, what, 400, post(text.into())).await;
    }
    for (member, values) in [
        ("totalErrors", &["-1", "0.5", "9007199254740992", "1e999", "-1e999", "true", "\"5\"", "null", "[]", "{}"][..]),
        ("totalFilesSynced", &["-1", "2147483648", "false"]),
        ("internetSpeed", &["-1", "1e999", "true", "\"9\"", "1000001"]),
        ("timestamp", &["true", "1.5", "1e300", "-9e18", "null", "\"yesterday\"", "\"0000-00-00T00:00:00Z\""]),
        ("timestamp", &["\"10000-01-01T00:00:00Z\"", "\"2026-11-23T08:00:00+99:99\"", "\"2026-11-23T25:00:00Z\""]),
        ("deviceId", &["\"\"", "\"a\\u0000b\"", "\"a\\nb\"", "\"\\ud800\"", "\"\u{202e}abc\"", "7", "{\"$ne\":1}"]),
        ("deviceId", &[&format!("\"{}\"", "x".repeat(129))]),
    ] {
        for value in values {
            let problem = refused(&api, value, 400, post(with(member, value).into())).await;
            assert_eq!(problem["errors"][0]["pointer"], format!("/{member}"), "{value}: {problem}");
        }
    }
    refused(&api, "no UTF-8", 400, post(b"{\"deviceId\":\"\xff\"}".to_vec())).await;
    refused(&api, "1 MiB and 1", 413, post(vec![b' '; (1 << 20) + 1])).await;
    for media_type in ["text/csv", "application/x-www-form-urlencoded", "none"] {
        refused(&api, media_type, 415, post_as(media_type, "deviceId=a&timestamp=0".into())).await;
    }
    for fine in ["\"$where\"", "\"a.b\"", "\"..\"", "\"a/b\""] {
        assert_eq!(post(with("deviceId", fine).into()).send().await.unwrap().status().as_u16(), 202, "{fine}");
    }
    // A clock is never a reason for a refusal: year 0, a leap second, the end of time.
    for clock in ["\"0001-01-01T00:00:00Z\"", "\"2016-12-31T23:59:60Z\"", "\"9999-12-30T00:00:00Z\"", "0", "-1"] {
        assert_eq!(post(with("timestamp", clock).into()).send().await.unwrap().status().as_u16(), 202, "{clock}");
    }
    let _worker = env.work().await;
    env.finish().await;
}

#[tokio::test]
async fn what_is_packed_wrongly_or_into_too_much_is_refused_cheaply() {
    let env = TestEnv::new();
    let api = env.api(&[]).await;
    let client = Client::new();
    let whole = body("packed", hours_ago(1), false).to_string();
    for path in ["/api/sync-event", "/api/v1/sync-events"] {
        let post = |encoding: &str, body: Vec<u8>| {
            let request = client.post(format!("{}{path}", api.url)).header("content-type", "application/json");
            request.header("content-encoding", encoding).body(body)
        };
        let peak = peak_memory(&api);
        let bomb = bomb();
        assert!(bomb.len() < 1 << 21, "{}", bomb.len());
        for _ in 0..4 {
            // Once within the packed limit, and once above it.
            refused(&api, "a bomb", 413, post("gzip", bomb[..bomb.len().min(1 << 20)].to_vec())).await;
        }
        assert!(peak_memory(&api) < peak + 24_000, "{peak} kB became {} kB", peak_memory(&api));
        refused(&api, "no gzip", 400, post("gzip", b"deviceId=a".to_vec())).await;
        let packed = gzip(whole.as_bytes());
        refused(&api, "half a gzip", 400, post("gzip", packed[..packed.len() / 2].to_vec())).await;
        refused(&api, "another packing", 415, post("br", packed.clone())).await;
        let packed = if path.contains("v1") { gzip(format!("[{whole}]").as_bytes()) } else { packed };
        assert_eq!(post("gzip", packed).send().await.unwrap().status().as_u16(), 202);
    }
    let _worker = env.work().await;
    env.finish().await;
}

#[tokio::test]
async fn a_query_or_path_that_cannot_be_is_a_problem() {
    let env = TestEnv::new();
    let api = env.api(&[]).await;
    let client = Client::new();
    let list = "/api/devices/repeated-failures";
    for query in [
        "page=0",
        "page=-1",
        "page=x",
        "page=1&page=2",
        "page=1000000000",
        "page=1e9",
        "limit=0",
        "limit=1000000000",
        "page=",
        "page=%ff",
    ] {
        refused(&api, query, 400, client.get(format!("{}{list}?{query}", api.url))).await;
    }
    let history = |id: &str| client.get(format!("{}/api/device/{id}/sync-history", api.url));
    for id in ["%00", "a%00b", &"x".repeat(2_049)] {
        refused(&api, id, 400, history(id)).await;
    }
    // Another program may have named a device so.
    for id in ["%E2%80%AE", "a%0Ab", "%20", &"x".repeat(129)] {
        assert_eq!(history(id).send().await.unwrap().status().as_u16(), 200, "{id}");
    }
    for of_device in ["", "/sync-events", "/sync-events.csv"] {
        for id in ["%00", "a%00b"] {
            let url = format!("{}/api/v1/devices/{id}{of_device}", api.url);
            refused(&api, &url, 400, client.get(&url)).await;
        }
        // A device may have this name: the search finds exactly it.
        for id in ["..%2f..%2fetc%2fpasswd", "a%2Fb", "%ff", "a%0Ab"] {
            let answer = client.get(format!("{}/api/v1/devices/{id}{of_device}", api.url)).send().await.unwrap();
            assert!(matches!(answer.status().as_u16(), 200 | 404), "{id}{of_device}: {}", answer.status());
        }
    }
    for path in ["/api", "/api/v2/x", "/api/device//sync-history", "/..%2f..%2fetc/passwd", "/favicon.ico"] {
        refused(&api, path, 404, client.get(format!("{}{path}", api.url))).await;
    }
    for path in ["/api/v1/sync-events", "/api/sync-event"] {
        refused(&api, path, 405, client.get(format!("{}{path}", api.url))).await;
    }
    refused(&api, "a method", 405, client.delete(format!("{}{list}", api.url))).await;
    let _worker = env.work().await;
    env.finish().await;
}

/// Sends raw bytes; returns the answer until the server closes or `SOON` is over.
async fn raw(api: &Api, bytes: &[u8]) -> String {
    let mut stream = TcpStream::connect(api.url.trim_start_matches("http://")).await.unwrap();
    // The server may refuse before it has read all.
    let _ = stream.write_all(bytes).await;
    let mut said = Vec::new();
    let _ = timeout(SOON, stream.read_to_end(&mut said)).await;
    String::from_utf8_lossy(&said).into_owned()
}

fn head(more: &str) -> String {
    format!("POST /api/sync-event HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n{more}\r\n")
}

#[tokio::test]
async fn what_breaks_the_rules_of_http_is_refused_and_harms_nobody() {
    let env = TestEnv::new();
    let api = env.api(&[]).await;
    let report = body("raw", hours_ago(1), false).to_string();
    let close = "Connection: close\r\n";
    for (what, sent) in [
        ("a header of 64 KiB", head(&format!("X-Long: {}\r\n{close}", "x".repeat(65_536)))),
        ("many headers", head(&format!("{}{close}", "X-Many: 1\r\n".repeat(2_000)))),
        (
            "a chunk of a wrong length",
            head(&format!("Transfer-Encoding: chunked\r\n{close}")) + "zz\r\nabc\r\n0\r\n\r\n",
        ),
        (
            "a chunk that is longer than it says",
            head(&format!("Transfer-Encoding: chunked\r\n{close}")) + "2\r\nabcdef\r\n0\r\n\r\n",
        ),
        (
            "a chunk of a length beyond all numbers",
            head(&format!("Transfer-Encoding: chunked\r\n{close}")) + "fffffffffffffffffff\r\nabc",
        ),
        ("two lengths", head("Content-Length: 1\r\nContent-Length: 2\r\n") + "ab"),
        ("a length that is none", head("Content-Length: -5\r\n")),
        (
            "length and chunks",
            head(&format!("Content-Length: 4\r\nTransfer-Encoding: chunked\r\n{close}")) + "0\r\n\r\n",
        ),
        ("HTTP/2 without asking", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".into()),
        ("no HTTP", "hello\r\n\r\n".into()),
        ("a NUL in the path", "GET /\0 HTTP/1.1\r\nHost: x\r\n\r\n".into()),
    ] {
        let said = raw(&api, sent.as_bytes()).await;
        assert!(said.is_empty() || said.starts_with("HTTP/1.1 4"), "{what}: {said}");
        good(&api).await;
    }
    // Pipelined requests are answered one after the other.
    let one = format!("{}{report}", head(&format!("Content-Length: {}\r\n", report.len())));
    let last = format!("{}{report}", head(&format!("Content-Length: {}\r\n{close}", report.len())));
    let said = raw(&api, format!("{one}{one}{last}").as_bytes()).await;
    assert_eq!(said.matches("HTTP/1.1 202").count(), 3, "{said}");
    let _worker = env.work().await;
    env.finish().await;
}

#[tokio::test]
async fn slow_clients_do_not_hold_the_server() {
    let env = TestEnv::new();
    let api = env.api(&["--max-connections", "200"]).await;
    let address = api.url.trim_start_matches("http://");
    let slow: JoinSet<_> = (0..100).map(|_| dribble(address.to_owned())).collect();
    testkit::pass(Duration::from_secs(1)).await;
    good(&api).await;
    let let_go = timeout(Duration::from_secs(40), slow.join_all()).await.expect("the server lets go");
    assert!(let_go.iter().all(|said| said.is_empty() || said.starts_with(b"HTTP/1.1 4")), "{let_go:?}");
    good(&api).await;
    let _worker = env.work().await;
    env.finish().await;
}

/// Sends the head of a request a byte at a time and never ends it; returns the final answer.
async fn dribble(address: String) -> Vec<u8> {
    let (mut read, mut write) = TcpStream::connect(address).await.unwrap().into_split();
    write.write_all(b"POST /api/sync-event HTTP/1.1\r\nHost: x\r\nX-Slow: ").await.unwrap();
    let writing = tokio::spawn(async move {
        while write.write_all(b"x").await.is_ok() {
            testkit::pass(Duration::from_secs(1)).await;
        }
    });
    let mut said = Vec::new();
    let _ = read.read_to_end(&mut said).await;
    writing.abort();
    said
}

/// Returns the peak memory of the process, in kB.
fn peak_memory(api: &Api) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", api.service.pid())).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}
