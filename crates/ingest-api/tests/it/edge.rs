//! Attacks by a stranger without a key: to hold the server, fill it, or use somebody's browser.

use std::{io::Write, time::Duration};

use futures_util::future::join_all;
use reqwest::{Client, StatusCode, redirect::Policy};
use serde_json::{Value, json};
use testkit::{
    Api, Form, TestEnv, body, hours_ago,
    keys::{api_with, key, keys},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

use crate::tls::{certify, connect, start};

const HEAD: &str = "GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n";

async fn open(api: &Api) -> TcpStream {
    TcpStream::connect(api.url.trim_start_matches("http://")).await.unwrap()
}

/// Sends bytes and reads the answer after a moment.
async fn ask(stream: &mut TcpStream, sent: &[u8]) -> String {
    stream.write_all(sent).await.unwrap();
    let mut said = vec![0; 16 * 1024];
    let read = timeout(Duration::from_secs(10), stream.read(&mut said)).await.expect("an answer").unwrap_or_default();
    String::from_utf8_lossy(&said[..read]).into_owned()
}

/// Waits until the server hangs up; returns the duration and the answer.
async fn hangs_up(mut stream: TcpStream, within: Duration) -> Vec<u8> {
    let mut said = Vec::new();
    let _ = timeout(within, stream.read_to_end(&mut said)).await.expect("the server hangs up");
    said
}

async fn report(api: &Api, device: &str) -> StatusCode {
    timeout(Duration::from_secs(5), api.post(&body(device, hours_ago(1), false))).await.expect("in time").status()
}

/// Ends a test that sent reports.
async fn finish(env: TestEnv) {
    let _worker = env.work().await;
    env.finish().await;
}

#[tokio::test]
async fn http_2_is_not_spoken() {
    let env = TestEnv::new();
    let root = certify(&env);
    let (_service, address) = start(&env).await;
    let stream = connect(&address, &root, b"http/1.1").await.unwrap();
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"http/1.1"[..]));
    assert!(connect(&address, &root, b"h2").await.is_err(), "a client that speaks nothing else is told so");
    let api = env.api_named("plain.log", &[]).await;
    let said = ask(&mut open(&api).await, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0").await;
    assert!(said.starts_with("HTTP/1.1 400"), "{said:?}");
    env.finish().await;
}

#[tokio::test]
async fn each_head_has_a_time_and_a_size_and_lines_that_end_with_cr_lf() {
    let env = TestEnv::new();
    let api = env.api(&[]).await;
    let mut idle = open(&api).await;
    let mut dripping = open(&api).await;
    for stream in [&mut idle, &mut dripping] {
        assert!(ask(stream, HEAD.as_bytes()).await.starts_with("HTTP/1.1 200"));
        stream.write_all(b"GET /hea").await.unwrap();
    }
    let (mut read, mut write) = dripping.into_split();
    let writing = tokio::spawn(async move {
        while write.write_all(b"x").await.is_ok() {
            testkit::pass(Duration::from_millis(500)).await;
        }
    });
    let ended = async {
        let mut said = Vec::new();
        let _ = timeout(Duration::from_secs(30), read.read_to_end(&mut said)).await.expect("the server hangs up");
    };
    tokio::join!(hangs_up(idle, Duration::from_secs(30)), ended);
    writing.abort();

    let long = format!("GET / HTTP/1.1\r\nHost: localhost\r\nX-Long: {}", "x".repeat(60_000));
    let second = format!("{HEAD}{long}");
    for (sent, status) in [
        (long.as_str(), "HTTP/1.1 431"),
        (second.as_str(), "HTTP/1.1 431"),
        ("GET /healthz HTTP/1.1\nHost: localhost\n\n", "HTTP/1.1 400"),
        ("GET /healthz HTTP/1.1\r\nHost: localhost\nX: y\r\n\r\n", "HTTP/1.1 400"),
    ] {
        let mut stream = open(&api).await;
        let _ = stream.write_all(sent.as_bytes()).await;
        let said = String::from_utf8_lossy(&hangs_up(stream, Duration::from_secs(10)).await).into_owned();
        assert!(said.contains(status) && said.contains("application/problem+json"), "{sent:.80}: {said}");
    }
    env.finish().await;
}

/// The next head would begin in the middle of it, past the limits of heads.
#[tokio::test]
async fn a_body_that_nobody_reads_ends_its_connection() {
    let env = TestEnv::new();
    let api = env.api(&[]).await;
    let mut stream = open(&api).await;
    let sent = "GET /healthz HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\n\r\nx";
    stream.write_all(sent.as_bytes()).await.unwrap();
    let said = String::from_utf8_lossy(&hangs_up(stream, Duration::from_secs(10)).await).to_lowercase();
    assert!(said.starts_with("http/1.1 200") && said.contains("connection: close"), "{said}");
    env.finish().await;
}

#[tokio::test]
async fn a_client_that_does_not_read_is_ended_and_costs_little_meanwhile() {
    let env = TestEnv::new();
    let api = env.api(&[]).await;
    let before = memory(&api);
    let requests = "GET /docs/swagger-ui-bundle.js HTTP/1.1\r\nHost: localhost\r\n\r\n".repeat(6);
    let mut streams = Vec::new();
    for _ in 0..100 {
        let mut stream = open(&api).await;
        stream.write_all(requests.as_bytes()).await.unwrap();
        streams.push(stream);
    }
    let start = testkit::stopwatch();
    testkit::pass(Duration::from_secs(2)).await;
    assert_eq!(report(&api, "pibook-1").await, StatusCode::ACCEPTED);
    let grown = memory(&api).saturating_sub(before);
    assert!(grown < 40_000, "{grown} kB for 100 connections");
    // Each has some bytes in the kernel's buffers, and then sends no more.
    testkit::pass(Duration::from_secs(35).saturating_sub(start.elapsed())).await;
    let ended = streams.iter().filter(|stream| {
        let mut room = vec![0; 8 * 1024 * 1024];
        loop {
            match stream.try_read(&mut room) {
                Ok(0) => break true,
                Ok(_) => {}
                Err(error) => break error.kind() != std::io::ErrorKind::WouldBlock,
            }
        }
    });
    assert!(ended.count() > 90);
    finish(env).await;
}

#[tokio::test]
async fn bodies_that_never_end_leave_room_for_the_reports_of_others() {
    let env = TestEnv::new();
    keys(&env, &["new-device-key"]).await;
    key(&env, "read").await;
    let token = async |device: &str| keys(&env, &["device-token", device]).await;
    let (one, other) = (token("pibook-1").await, token("pibook-2").await);
    let api = api_with(&env, "enforce", &[]).await;
    let head = format!(
        "POST /api/v1/sync-events HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {one}\r\n\
         Content-Type: application/json\r\nContent-Length: 1048576\r\n\r\n"
    );
    let body_of_other = json!([body("pibook-2", hours_ago(1), false)]);
    let bodies = join_all((0..100).map(async |_| {
        let mut stream = open(&api).await;
        stream.write_all(head.as_bytes()).await.unwrap();
        let _ = stream.write_all(&vec![b' '; 1_000_000]).await;
        stream
    }))
    .await;
    let memory = memory(&api);
    assert!(memory < 120_000, "{memory} kB");
    let post = Client::new().post(format!("{}/api/v1/sync-events", api.url)).bearer_auth(&other).json(&body_of_other);
    let answer = timeout(Duration::from_secs(5), post.send()).await.expect("in time").unwrap();
    assert_eq!(answer.status(), StatusCode::ACCEPTED);
    let mut refused = 0;
    for mut stream in bodies {
        let mut said = [0; 1024];
        if let Ok(Ok(read)) = timeout(Duration::from_millis(20), stream.read(&mut said)).await {
            let said = String::from_utf8_lossy(&said[..read]).to_ascii_lowercase();
            refused += usize::from(said.starts_with("http/1.1 503") && said.contains("retry-after:"));
        }
    }
    assert!(refused > 50, "{refused}");
    finish(env).await;
}

#[tokio::test]
async fn connections_that_rest_make_room_for_new_ones() {
    let env = TestEnv::new();
    let api = env.api(&["--max-connections", "100"]).await;
    let mut resting = Vec::new();
    for _ in 0..101 {
        let mut stream = open(&api).await;
        let _ = timeout(Duration::from_secs(5), ask(&mut stream, HEAD.as_bytes())).await;
        let _ = stream.write_all(b"GET /hea").await;
        resting.push(stream);
    }
    for device in 0..20 {
        assert_eq!(report(&api, &format!("pibook-{device}")).await, StatusCode::ACCEPTED);
    }
    let mut closes = 0;
    for _ in 0..10 {
        let mut stream = open(&api).await;
        closes +=
            usize::from(ask(&mut stream, HEAD.as_bytes()).await.to_ascii_lowercase().contains("connection: close"));
        resting.push(stream);
    }
    assert!(closes > 0, "answers tell that the server is nearly full");
    finish(env).await;
}

#[tokio::test]
async fn a_page_of_another_site_can_do_nothing_whatever_the_mode() {
    let env = TestEnv::new();
    key(&env, "operate").await;
    for mode in ["off", "observe", "enforce"] {
        let api = api_with(&env, mode, &[]).await;
        let silence = json!({ "matchers": ["deviceId=~.*"], "comment": "evil" }).to_string();
        let send = async |path: &str, headers: &[(&str, &str)], body: &str| {
            let mut request = Client::new().post(format!("{}{path}", api.url)).body(body.to_owned());
            for (name, value) in headers {
                request = request.header(*name, *value);
            }
            request.send().await.unwrap().status().as_u16()
        };
        let json = ("content-type", "application/json");
        let evil = ("origin", "http://evil.example");
        for path in ["/api/v1/silences", "/silences", "/alerts", "/dead-letters", "/share", "/sign-in", "/sign-out"] {
            assert_eq!(send(path, &[json, evil], &silence).await, 403, "{mode} {path}");
            assert_eq!(send(path, &[json, ("sec-fetch-site", "cross-site")], &silence).await, 403, "{mode} {path}");
        }
        let report = body("pibook-1", hours_ago(1), false).to_string();
        assert_eq!(send("/api/sync-event", &[json, evil], &report).await, 403, "{mode}");
        // A name that leads here by somebody else's DNS server.
        let rebound = [json, ("host", "evil.example"), ("origin", "http://evil.example")];
        assert_eq!(send("/api/v1/silences", &rebound, &silence).await, 403, "{mode}");
        let read = Client::new().get(format!("{}/api/v1/devices", api.url)).header("host", "evil.example");
        assert_eq!(read.send().await.unwrap().status().as_u16(), 403, "{mode}");
        // A page can send this without a preflight, so it is not an order.
        for media_type in
            [None, Some(("content-type", "text/plain")), Some(("content-type", "application/x-www-form-urlencoded"))]
        {
            let headers: Vec<_> = media_type.into_iter().collect();
            let status = send("/api/v1/silences", &headers, &silence).await;
            assert_eq!(status, if mode == "enforce" { 401 } else { 415 }, "{mode} {media_type:?}");
        }
        let (_, silences) = api.get("/api/v1/silences").await;
        assert!(mode == "enforce" || silences["items"].as_array().unwrap().is_empty(), "{silences}");
    }
    env.finish().await;
}

#[tokio::test]
async fn wrong_keys_keep_nobody_out_who_has_the_right_one() {
    let env = TestEnv::new();
    let (read, other) = (key(&env, "read").await, key(&env, "read").await);
    let api = api_with(&env, "enforce", &[]).await;
    let client = Client::builder().redirect(Policy::none()).build().unwrap();
    let sign_in = async |key: &str| {
        let post = client.post(format!("{}/sign-in", api.url)).urlencoded(&[("key", key)]);
        post.send().await.unwrap().status()
    };
    let wrong = format!("{}{}", &read[..read.len() - 4], "0000");
    let guesses = join_all((0..30).map(|_| sign_in(&wrong))).await;
    assert!(guesses.contains(&StatusCode::TOO_MANY_REQUESTS), "{guesses:?}");
    assert_eq!([sign_in(&read).await, sign_in(&other).await], [StatusCode::SEE_OTHER; 2]);
    env.finish().await;
}

#[tokio::test]
async fn characters_that_are_not_seen_are_in_no_name_and_no_comment() {
    let env = TestEnv::new();
    let api = env.api(&[]).await;
    for hidden in ["a\u{202e}b", "a\u{200b}", "a\u{7}", "a\u{feff}b"] {
        for silence in [
            json!({ "matchers": ["deviceId=a"], "comment": hidden }),
            json!({ "matchers": ["deviceId=a"], "comment": "", "by": hidden }),
        ] {
            let (status, answer) = api.send("POST", "/api/v1/silences", &silence).await;
            assert_eq!(status, StatusCode::BAD_REQUEST, "{silence}");
            assert!(answer["detail"].as_str().unwrap().contains("U+"), "{answer}");
        }
    }
    let (status, _) =
        api.send("POST", "/api/v1/silences", &json!({ "matchers": ["deviceId=a"], "comment": "two\nlines" })).await;
    assert_eq!(status, StatusCode::CREATED);
    env.finish().await;
}

#[tokio::test]
async fn all_links_hold_behind_a_proxy_that_strips_a_path() {
    let env = TestEnv::new();
    let operate = key(&env, "operate").await;
    let proxy = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let outside = format!("http://{}/pisync", proxy.local_addr().unwrap());
    let api = api_with(&env, "enforce", &["--external-url", &outside]).await;
    let inside = api.url.trim_start_matches("http://").to_owned();
    tokio::spawn(strip("/pisync", proxy, inside));
    let client = Client::builder().redirect(Policy::none()).build().unwrap();
    let origin = outside.trim_end_matches("/pisync").to_owned();
    let get = async |path: &str, cookie: &str| {
        client.get(format!("{origin}{path}")).header("cookie", cookie).send().await.unwrap()
    };
    let location = |answer: &reqwest::Response| answer.headers()["location"].to_str().unwrap().to_owned();

    let first = get("/pisync/", "").await;
    assert_eq!(location(&first), "/pisync/sign-in?next=%2F");
    let form = client
        .post(format!("{outside}/sign-in"))
        .header("origin", &origin)
        .urlencoded(&[("key", &*operate), ("next", "/devices")]);
    let signed_in = form.send().await.unwrap();
    assert_eq!((signed_in.status(), location(&signed_in).as_str()), (StatusCode::SEE_OTHER, "/pisync/devices"));
    let set = signed_in.headers()["set-cookie"].to_str().unwrap().to_owned();
    assert!(set.contains("Path=/pisync/;"), "{set}");
    let cookie = set.split(';').next().unwrap().to_owned();
    let mut seen = std::collections::BTreeSet::new();
    let mut todo = vec!["/pisync/".to_owned(), "/pisync/silences".to_owned(), "/pisync/share".to_owned()];
    while let Some(path) = todo.pop() {
        if !seen.insert(path.clone()) || seen.len() > 60 {
            continue;
        }
        let answer = get(&path, &cookie).await;
        let status = answer.status();
        assert!(status.is_success() || status.is_redirection(), "{path}: {status}");
        if !answer.headers()["content-type"].to_str().unwrap_or_default().starts_with("text/html") {
            continue;
        }
        let page = answer.text().await.unwrap();
        for link in ["href", "action", "src", "hx-get", "data-chart"] {
            for found in page.split(&format!(" {link}=\"")).skip(1) {
                let target = found.split('"').next().unwrap().replace("&amp;", "&").replace("&#38;", "&");
                if target.starts_with('/') {
                    assert!(target.starts_with("/pisync/"), "{path}: {link}={target}");
                    if link == "href" || link == "src" {
                        todo.push(target);
                    }
                }
            }
        }
    }
    assert!(seen.len() > 8, "{seen:?}");
    env.finish().await;
}

#[tokio::test]
async fn a_proxy_is_believed_where_the_settings_say_so_alone() {
    let env = TestEnv::new();
    let read = key(&env, "read").await;
    let client = Client::builder().redirect(Policy::none()).build().unwrap();
    for (settings, is_trusted) in [(&["--trusted-proxies", "127.0.0.0/8"][..], true), (&[], false)] {
        let api = api_with(&env, "enforce", settings).await;
        let sign_in = client.post(format!("{}/sign-in", api.url)).urlencoded(&[("key", &*read)]);
        let sign_in = sign_in.header("origin", "https://fleet.example").header("x-forwarded-host", "fleet.example");
        let answer = sign_in.header("x-forwarded-proto", "https").send().await.unwrap();
        if !is_trusted {
            assert_eq!(answer.status(), StatusCode::FORBIDDEN);
            continue;
        }
        assert_eq!(answer.status(), StatusCode::SEE_OTHER);
        let cookie = answer.headers()["set-cookie"].to_str().unwrap();
        assert!(cookie.starts_with("__Host-pisync_session=") && cookie.ends_with("; Secure"), "{cookie}");
    }
    env.finish().await;
}

#[tokio::test]
async fn without_a_key_probes_are_told_no_more_than_a_status() {
    let env = TestEnv::new();
    let read = key(&env, "read").await;
    let api = api_with(&env, "enforce", &[]).await;
    assert_eq!(api.get("/readyz").await.1, json!({ "status": "ready" }));
    let full = Client::new().get(format!("{}/readyz", api.url)).bearer_auth(&read).send().await.unwrap();
    assert_eq!(full.json::<Value>().await.unwrap()["redis"], "up");
    for path in ["/docs", "/docs/", "/openapi.json"] {
        let status = Client::new().get(format!("{}{path}", api.url)).send().await.unwrap().status();
        assert_eq!(status, StatusCode::UNAUTHORIZED, "{path}");
    }
    env.finish().await;
}

#[tokio::test]
async fn a_line_of_the_log_is_one_line_whatever_a_form_holds() {
    let env = TestEnv::new();
    let api = env.api(&[]).await;
    let client = Client::builder().redirect(Policy::none()).build().unwrap();
    let page = client.get(format!("{}/dead-letters", api.url)).send().await.unwrap();
    let cookie = page.headers()["set-cookie"].to_str().unwrap().split(';').next().unwrap().to_owned();
    let alerts = client.get(format!("{}/share", api.url)).header("cookie", &cookie).send().await.unwrap();
    drop(alerts);
    let silences = client.get(format!("{}/silences?kind=exact&device=a", api.url)).header("cookie", &cookie);
    let token = crate::sessions::after(silences.send().await.unwrap(), "name=\"token\" value=\"").await;
    let id = "x\n2026-11-29T00:00:00.000Z ERROR forged \u{1b}[31m";
    let form = [("token", &*token), ("action", "purge"), ("partition", "0"), ("id", id)];
    let done = client
        .post(format!("{}/dead-letters", api.url))
        .header("cookie", &cookie)
        .urlencoded(&form)
        .send()
        .await
        .unwrap();
    assert_eq!(done.status(), StatusCode::SEE_OTHER);
    let log = api.service.log();
    assert!(log.contains("dead letter requeued or purged"), "{log}");
    assert!(
        !log.lines().any(|line| line.contains("forged") && !line.contains("dead letter requeued or purged")),
        "{log}"
    );
    assert!(!log.contains('\u{1b}'), "{log}");
    let _ = std::io::stderr().flush();
    env.finish().await;
}

/// A reverse proxy that strips a path and names itself as the host, one request per connection.
async fn strip(prefix: &'static str, listener: tokio::net::TcpListener, to: String) {
    while let Ok((mut client, _)) = listener.accept().await {
        let to = to.clone();
        tokio::spawn(async move {
            let mut server = TcpStream::connect(&to).await.unwrap();
            let (mut request, mut room) = (Vec::new(), vec![0; 64 * 1024]);
            let head = loop {
                let read = client.read(&mut room).await.unwrap_or_default();
                request.extend_from_slice(&room[..read]);
                if let Some(end) = request.windows(4).position(|window| window == b"\r\n\r\n") {
                    break end;
                }
                if read == 0 {
                    return;
                }
            };
            let text = String::from_utf8_lossy(&request[..head]).replacen(&format!(" {prefix}/"), " /", 1);
            let lines = text.split("\r\n").map(|line| {
                if line.to_ascii_lowercase().starts_with("host:") { format!("host: {to}") } else { line.to_owned() }
            });
            let text = lines.collect::<Vec<_>>().join("\r\n") + "\r\nconnection: close";
            server.write_all(text.as_bytes()).await.unwrap();
            server.write_all(&request[head..]).await.unwrap();
            let _ = tokio::io::copy_bidirectional(&mut client, &mut server).await;
        });
    }
}

/// Returns the present memory of the process, in kB.
fn memory(api: &Api) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", api.service.pid())).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}
