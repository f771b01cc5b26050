//! Heads that are malformed, late, or smuggled; and honest slow clients beside them.

use std::time::Duration;

use serde_json::{Value, json};
use testkit::{Api, TestEnv, body, hours_ago};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

use crate::tls::{certify, connect, start};

const GET: &str = "GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n";

async fn open(api: &Api) -> TcpStream {
    TcpStream::connect(api.url.trim_start_matches("http://")).await.unwrap()
}

/// Returns the whole answer until the server hangs up.
async fn said(mut stream: impl AsyncRead + Unpin, within: Duration) -> String {
    let mut said = Vec::new();
    let _ = timeout(within, stream.read_to_end(&mut said)).await.expect("the server hangs up");
    String::from_utf8_lossy(&said).into_owned()
}

/// Sends bytes at once; returns the answer.
async fn answers(mut stream: impl AsyncRead + AsyncWrite + Unpin, sent: &[u8]) -> String {
    let _ = stream.write_all(sent).await;
    said(stream, Duration::from_secs(10)).await
}

/// Returns the last problem in an answer.
fn problem(said: &str, status: u16) -> Value {
    let (before, body) = said.rsplit_once("\r\n\r\n").unwrap_or_else(|| panic!("no answer: {said:?}"));
    let head = before[before.rfind("HTTP/1.1").unwrap()..].to_lowercase();
    assert!(head.starts_with(&format!("http/1.1 {status}")), "{said}");
    for header in [
        "content-type: application/problem+json",
        "x-content-type-options: nosniff",
        "content-security-policy: default-src 'none'",
        "cache-control: no-store",
        "connection: close",
    ] {
        assert!(head.contains(header), "{header}: {said}");
    }
    let problem: Value = serde_json::from_str(body).unwrap();
    assert_eq!((&problem["status"], &problem["success"]), (&json!(status), &json!(false)), "{said}");
    problem
}

#[tokio::test]
async fn a_head_that_is_none_has_an_answer_with_its_cause_and_no_line_in_the_log() {
    let env = TestEnv::new();
    let api = env.api(&[]).await;
    let many = format!("GET / HTTP/1.1\r\nHost: localhost\r\n{}\r\n", "X: y\r\n".repeat(200));
    for (sent, status, cause) in [
        (many.as_str(), 431, "more than 96 fields"),
        ("GET / HTTP/1.1\r\n\r\n", 400, "no Host"),
        ("GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400, "more than one Host"),
        ("GET / HTTP/1.1\r\nHost: localhost\r\nX: a\r\n b\r\n\r\n", 400, "white space"),
        ("GET / HTTP/1.1\r\nHost: localhost\r\nX y\r\n\r\n", 400, "a name in the header"),
        ("GET /\r\n\r\n", 400, "first line"),
        ("POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: x\r\n\r\n", 400, "Content-Length"),
        (
            "POST / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: gzip\r\n\r\n",
            400,
            "only supported Transfer-Encoding is chunked",
        ),
        ("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400, "HTTP/1.1"),
        ("\u{16}\u{3}\u{1}", 400, "not an HTTP request"),
    ] {
        let first = problem(&answers(open(&api).await, sent.as_bytes()).await, status);
        assert!(first["detail"].as_str().unwrap().contains(cause), "{sent:.60}: {first}");
        // The same behind a good one.
        let both = answers(open(&api).await, format!("{GET}{sent}").as_bytes()).await;
        assert!(both.starts_with("HTTP/1.1 200") && problem(&both, status) == first, "{sent:.60}: {both}");
    }
    // The framework itself finds this: an invalid body.
    let chunked = "POST /api/sync-event HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n";
    let broken = answers(open(&api).await, chunked.as_bytes()).await;
    assert!(broken.starts_with("HTTP/1.1 400") && broken.contains("application/problem+json"), "{broken}");
    let log = api.service.log();
    assert!(!log.contains("ERROR") && !log.contains("stream error"), "{log}");
    env.finish().await;
}

/// In one segment with the preceding bytes.
#[tokio::test]
async fn a_head_behind_another_request_is_looked_at_as_the_first() {
    let env = TestEnv::new();
    let api = env.api(&[]).await;
    let report = body("pibook-1", hours_ago(1), false).to_string();
    let with_length =
        format!("POST /api/sync-event HTTP/1.1\r\nHost: localhost\r\nContent-Length: {}\r\n\r\n{report}", report.len());
    let in_chunks = format!(
        "POST /api/sync-event HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n\
         1;x=y\r\n{}\r\n{:X}\r\n{}\r\n0\r\nTrailer: x\r\n\r\n",
        &report[..1],
        report.len() - 1,
        &report[1..]
    );
    for (before, status) in [(GET, "200"), (with_length.as_str(), "202"), (in_chunks.as_str(), "202")] {
        let good = answers(
            open(&api).await,
            format!("{before}{}", GET.replace("\r\n\r\n", "\r\nConnection: close\r\n\r\n")).as_bytes(),
        )
        .await;
        assert_eq!(good.matches("HTTP/1.1 ").count(), 2, "{good}");
        assert!(good.starts_with(&format!("HTTP/1.1 {status}")), "{good}");
        let hidden = format!("{before}GET /healthz HTTP/1.1\r\nHost: localhost\nX: y\r\n\r\n");
        let hidden = answers(open(&api).await, hidden.as_bytes()).await;
        assert!(hidden.starts_with(&format!("HTTP/1.1 {status}")), "{hidden}");
        assert!(problem(&hidden, 400)["detail"].as_str().unwrap().contains("LF alone"), "{hidden}");
    }
    let many = answers(open(&api).await, format!("{}{}", GET.repeat(40), "x".repeat(30_000)).as_bytes()).await;
    assert_eq!(many.matches("HTTP/1.1 200").count(), 40, "each has its answer");
    problem(&many, 431);
    let _worker = env.work().await;
    env.finish().await;
}

#[tokio::test]
async fn a_head_that_is_late_is_told_so_and_silence_is_just_ended() {
    let env = TestEnv::new();
    let api = env.api(&[]).await;
    let (mut late, silent) = (open(&api).await, open(&api).await);
    late.write_all(b"GET /hea").await.unwrap();
    let (late, silent) = tokio::join!(said(late, Duration::from_secs(40)), said(silent, Duration::from_secs(40)));
    assert!(problem(&late, 408)["detail"].as_str().unwrap().contains("20 s"), "{late}");
    assert_eq!(silent, "");
    env.finish().await;
}

#[tokio::test]
async fn a_connection_may_rest_as_long_as_the_settings_say() {
    let env = TestEnv::new();
    let (brief, long) = (env.api(&["--keep-alive", "1"]).await, env.api_named("long.log", &[]).await);
    let (mut ends, mut stays) = (open(&brief).await, open(&long).await);
    for stream in [&mut ends, &mut stays] {
        stream.write_all(GET.as_bytes()).await.unwrap();
    }
    assert!(said(ends, Duration::from_secs(15)).await.starts_with("HTTP/1.1 200"));
    // It answered, and did not hang up before the other one did.
    let mut answer = vec![0; 4 * 1024];
    let read = stays.try_read(&mut answer).unwrap();
    assert!(read > 0 && stays.try_read(&mut answer).is_err_and(|error| error.kind() == std::io::ErrorKind::WouldBlock));
    stays.write_all(GET.as_bytes()).await.unwrap();
    assert!(timeout(Duration::from_secs(5), stays.read(&mut answer)).await.unwrap().unwrap() > 0);
    env.finish().await;
}

/// As over a 2G line: little at a time, and never a pause.
#[tokio::test]
async fn a_slow_and_honest_client_delivers() {
    let env = TestEnv::new();
    let api = env.api(&[]).await;
    let reports: Vec<_> = (0..40).map(|id| body(&format!("pibook-{id}"), hours_ago(1), false)).collect();
    let sent = serde_json::to_string(&reports).unwrap();
    let head = format!(
        "POST /api/v1/sync-events HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n\
         Connection: close\r\nContent-Length: {}\r\n\r\n",
        sent.len()
    );
    let mut stream = open(&api).await;
    for bytes in head.as_bytes().chunks(20) {
        stream.write_all(bytes).await.unwrap();
        testkit::pass(Duration::from_millis(100)).await;
    }
    for bytes in sent.as_bytes().chunks(200) {
        stream.write_all(bytes).await.unwrap();
        testkit::pass(Duration::from_millis(200)).await;
    }
    let answer = said(stream, Duration::from_secs(20)).await;
    assert!(answer.starts_with("HTTP/1.1 202") && answer.contains("\"accepted\":40"), "{answer}");
    let _worker = env.work().await;
    env.finish().await;
}

#[tokio::test]
async fn the_bounds_hold_inside_tls_too_and_a_handshake_has_its_time() {
    let env = TestEnv::new();
    let root = certify(&env);
    let (_service, address) = start(&env).await;
    let silent = TcpStream::connect(&address).await.unwrap();
    let speak =
        async |sent: String| answers(connect(&address, &root, b"http/1.1").await.unwrap(), sent.as_bytes()).await;
    problem(&speak(format!("{GET}GET / HTTP/1.1\r\nX: {}", "x".repeat(60_000))).await, 431);
    let hidden = speak(format!("{GET}GET / HTTP/1.1\r\nHost: localhost\nX: y\r\n\r\n")).await;
    assert!(hidden.starts_with("HTTP/1.1 200"), "{hidden}");
    problem(&hidden, 400);
    let mut late = connect(&address, &root, b"http/1.1").await.unwrap();
    late.write_all(b"GET /hea").await.unwrap();
    let (late, silent) = tokio::join!(said(late, Duration::from_secs(40)), said(silent, Duration::from_secs(20)));
    problem(&late, 408);
    assert_eq!(silent, "");
    env.finish().await;
}
