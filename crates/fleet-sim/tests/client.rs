//! A device retries on 429, 502, 503, 504 and network errors, and on nothing else.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use fleet_sim::{
    client::{Delivery, Outcome, ReportClient},
    config::PostSettings,
};
use pisync_core::settings::Secret;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};
use tokio_util::sync::CancellationToken;

const KEY: &str = "psk_ingest_of-a-test";
const BODY: &str = r#"{"deviceId":"pibook-1"}"#;

/// A step of the server: a status with a `Retry-After`, or a connection that ends without an answer.
#[derive(Clone, Copy)]
enum Step {
    Answer(u16),
    AnswerLater(u16, u32),
    Hang,
    Drop,
}

use Step::{Answer, AnswerLater, Drop, Hang};

/// Starts a server that takes the steps and then accepts everything. Returns its settings and its count of requests.
async fn server(steps: &'static [Step]) -> (PostSettings, Arc<AtomicUsize>) {
    // Set the process's provider for TLS; only a second call could fail.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let settings = settings(&format!("http://{}/", listener.local_addr().unwrap()));
    let seen = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&seen);
    tokio::spawn(async move {
        let mut hanging = Vec::new();
        for step in steps.iter().copied().chain(std::iter::repeat(Answer(202))) {
            let (mut stream, _) = listener.accept().await.unwrap();
            read_request(&mut stream).await;
            count.fetch_add(1, Ordering::SeqCst);
            let (status, header) = match step {
                Answer(status) => (status, String::new()),
                AnswerLater(status, seconds) => (status, format!("retry-after: {seconds}\r\n")),
                Drop => continue,
                Hang => {
                    hanging.push(stream);
                    continue;
                }
            };
            let answer = format!("HTTP/1.1 {status} X\r\n{header}connection: close\r\ncontent-length: 2\r\n\r\nno");
            stream.write_all(answer.as_bytes()).await.unwrap();
        }
    });
    (settings, seen)
}

async fn read_request(stream: &mut TcpStream) {
    let mut request = Vec::new();
    while !request.ends_with(BODY.as_bytes()) {
        let mut part = [0; 1024];
        let read = stream.read(&mut part).await.unwrap();
        assert_ne!(read, 0, "the request ends before its body");
        request.extend_from_slice(&part[..read]);
    }
    let request = String::from_utf8(request).unwrap();
    assert!(request.starts_with("POST /api/sync-event HTTP/1.1\r\n"), "{request}");
    assert!(request.contains("content-type: application/json\r\n"), "{request}");
    assert!(request.contains(&format!("authorization: Bearer {KEY}\r\n")), "{request}");
}

fn settings(api: &str) -> PostSettings {
    PostSettings {
        api: api.parse().unwrap(),
        api_key: Some(Secret::new(KEY)),
        api_key_file: None,
        ledger: None,
        concurrency: 1,
        tries: 4,
        timeout: Duration::from_millis(300),
        max_wait: Duration::from_millis(50),
        json: false,
    }
}

async fn deliver(settings: &PostSettings) -> Delivery {
    ReportClient::new(settings, CancellationToken::new()).unwrap().deliver(BODY).await
}

fn gave_up(may_be_stored: bool) -> Delivery {
    Delivery { outcome: Outcome::GaveUp { may_be_stored }, retries: 3 }
}

fn refused(status: u16, may_be_stored: bool, retries: u32) -> Delivery {
    Delivery { outcome: Outcome::Refused { status, detail: "no".into(), may_be_stored }, retries }
}

#[tokio::test]
async fn what_passes_is_tried_again_until_it_is_accepted() {
    for steps in [&[Answer(429), Answer(502), Answer(503)], &[Answer(504), Drop, Hang]] {
        let (settings, seen) = server(steps).await;
        let delivery = deliver(&settings).await;
        assert!(matches!(delivery, Delivery { outcome: Outcome::Accepted { .. }, retries: 3 }), "{delivery:?}");
        assert_eq!(seen.load(Ordering::SeqCst), 4);
    }
}

#[tokio::test]
async fn a_refusal_is_never_tried_again() {
    for (status, may_be_stored) in
        [(400, false), (401, false), (404, false), (413, false), (415, false), (500, true), (200, false)]
    {
        let (settings, seen) = server(Box::leak(Box::new([Answer(status)]))).await;
        assert_eq!(deliver(&settings).await, refused(status, may_be_stored, 0));
        assert_eq!(seen.load(Ordering::SeqCst), 1);
    }
}

#[tokio::test]
async fn an_event_that_may_have_arrived_stays_of_unknown_fate() {
    let (settings, _) = server(&[Answer(503), Answer(429), Answer(429), Answer(429)]).await;
    assert_eq!(deliver(&settings).await, gave_up(true));
    let (settings, _) = server(&[Drop, Answer(400)]).await;
    assert_eq!(deliver(&settings).await, refused(400, true, 1));
}

#[tokio::test]
async fn what_never_reached_the_api_is_not_stored() {
    let (settings, _) = server(&[Answer(429); 4]).await;
    assert_eq!(deliver(&settings).await, gave_up(false));
    assert_eq!(deliver(&self::settings("http://127.0.0.1:1")).await, gave_up(false));
}

#[tokio::test]
async fn the_wait_that_the_api_asks_for_is_kept_up_to_the_longest() {
    let (mut settings, _) = server(&[AnswerLater(503, 1), AnswerLater(429, 600)]).await;
    settings.max_wait = Duration::from_millis(1_200);
    let began = Instant::now();
    assert_eq!(deliver(&settings).await.retries, 2);
    assert!((2_200..4_000).contains(&began.elapsed().as_millis()), "{:?}", began.elapsed());
}

#[tokio::test]
async fn a_courier_that_is_stopped_tries_nothing_again() {
    let (settings, seen) = server(&[Answer(503)]).await;
    let stop = CancellationToken::new();
    stop.cancel();
    let delivery = ReportClient::new(&settings, stop).unwrap().deliver(BODY).await;
    assert_eq!(delivery, Delivery { outcome: Outcome::GaveUp { may_be_stored: true }, retries: 0 });
    assert_eq!(seen.load(Ordering::SeqCst), 1);
}
