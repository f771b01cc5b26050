//! HTTP/2 as a client speaks it that knows nothing of how the server is built.

use e2e::{TestEnv, body, hours_ago};
use futures_util::future::join_all;
use http_body_util::{BodyExt, Full};
use hyper::{
    Request,
    body::Bytes,
    client::conn::http2::{SendRequest, handshake},
};
use hyper_util::rt::{TokioExecutor, TokioIo};
use jiff::Timestamp;

use crate::tls::{certify, connect, start};

type Sender = SendRequest<Full<Bytes>>;

/// Sends a request; the answer must have this status, and be a problem where it is none of success.
async fn answers(mut to: Sender, request: Request<Full<Bytes>>, status: u16) {
    to.ready().await.unwrap();
    let answer = to.send_request(request).await.unwrap();
    assert_eq!(answer.status().as_u16(), status);
    let media_type = answer.headers()["content-type"].clone();
    assert_eq!(media_type, if status < 400 { "application/json" } else { "application/problem+json" });
    let body = answer.into_body().collect().await.unwrap().to_bytes();
    assert!(serde_json::from_slice::<serde_json::Value>(&body).is_ok());
}

fn get(path: &str) -> Request<Full<Bytes>> {
    Request::get(format!("https://localhost{path}")).body(Full::default()).unwrap()
}

fn post(body: impl Into<Bytes>) -> Request<Full<Bytes>> {
    Request::post("https://localhost/api/sync-event").body(Full::new(body.into())).unwrap()
}

fn report(device: usize, at: Timestamp) -> Request<Full<Bytes>> {
    post(body(&format!("pibook-{device}"), at, false).to_string())
}

#[tokio::test]
async fn events_come_in_over_http_2_many_at_once_beside_requests_that_are_refused() {
    let env = TestEnv::new();
    let root = certify(&env);
    let (_service, address) = start(&env).await;
    let stream = connect(&address, &root, b"h2").await.unwrap();
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
    let (sender, connection) = handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
    let driven = tokio::spawn(connection);
    let at = hours_ago(1);
    answers(sender.clone(), report(0, at), 202).await;
    let mut long = report(0, at);
    long.headers_mut().insert("x-long", "x".repeat(15_000).parse().unwrap());
    long.headers_mut().insert("x-longer", "x".repeat(2_000).parse().unwrap());
    for (refused, status) in [
        (post(vec![b' '; (1 << 20) + 1]), 413),
        (post("{"), 400),
        (long, 431),
        (get("/api/device/..%2f/sync-history?page=0"), 400),
        (get("/nothing"), 404),
    ] {
        answers(sender.clone(), refused, status).await;
        answers(sender.clone(), report(0, at), 202).await;
    }
    join_all((1..100).map(|device| answers(sender.clone(), report(device, at), 202))).await;
    drop(sender);
    driven.await.unwrap().unwrap();
    let _worker = env.worker("worker.log", &[]).await;
    env.drained().await;
    assert_eq!(env.rows().await.len(), 100);
    env.finish().await;
}
