//! A `MongoDB` that hangs neither refuses nor answers: queries time out, do not pile up, and the first one after
//! it is back succeeds.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use nix::sys::signal::Signal;
use testkit::{MongoServer, TestEnv, body, hours_ago, now};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, copy},
    net::{TcpListener, TcpStream},
};

/// Time limit of each answer: 3 s, plus a margin for a busy machine.
const IN_TIME: Duration = Duration::from_secs(10);

/// Time limit of answers without a cached value: 20 s, plus a margin for a busy machine.
const AT_LAST: Duration = Duration::from_secs(40);

const SINGLE: [&str; 5] =
    ["/api/v1/devices", "/api/v1/devices/a", "/api/device/a/sync-history", "/api/v1/alerts", "/device?id=a"];

const PATHS: [&str; 3] = ["/api/v1/fleet/summary?hours=24", "/api/v1/fleet/what-changed", "/metrics"];

#[tokio::test]
async fn questions_end_in_time_while_the_store_hangs_and_are_answered_after_it() {
    let folder = TestEnv::new();
    let mut mongo = MongoServer::start(folder.path("mongo")).await;
    let env = TestEnv::on_mongo(&mongo);
    let (api, _worker) = (env.api(&[]).await, env.work().await);
    for device in ["a", "b"] {
        for hours in [3, 2, 1] {
            api.accepts(&[body(device, hours_ago(hours), true)]).await;
        }
    }
    env.drained().await;
    let client = reqwest::Client::builder().timeout(Duration::from_mins(1)).build().unwrap();
    let ask = async |path: &str| {
        let (asked_at, url) = (testkit::stopwatch(), format!("{}{path}", api.url));
        let status = client.get(url).send().await.unwrap().status().as_u16();
        (status, asked_at.elapsed())
    };
    for path in PATHS.into_iter().chain(SINGLE) {
        assert_eq!(ask(path).await.0, 200, "{path}");
    }

    mongo.service().signal(Signal::SIGSTOP);
    // No process has noticed the hang yet.
    let all = futures_util::future::join_all(SINGLE.map(ask)).await;
    assert!(all.iter().all(|(status, took)| *took < AT_LAST && *status == 503), "{all:?}");
    // The earlier answers have expired by then.
    testkit::pass(Duration::from_secs(6)).await;
    for _ in 0..3 {
        for path in PATHS {
            let (status, took) = ask(path).await;
            assert!(took < IN_TIME && matches!(status, 200 | 503), "{path}: {status} after {took:?}");
        }
    }
    let all = futures_util::future::join_all((0..40).map(|_| ask(PATHS[0]))).await;
    assert!(all.iter().all(|(_, took)| *took < IN_TIME), "{all:?}");

    mongo.service().signal(Signal::SIGCONT);
    for path in PATHS.into_iter().chain(SINGLE) {
        env.until("an answer", async || ask(path).await.0 == 200).await;
    }
    // New reports are visible: it is not an earlier answer.
    api.accepts(&[body("c", now(), true)]).await;
    env.drained().await;
    env.until("the new report in the summary", async || {
        api.get(PATHS[0]).await.1["syncs"]["failed"].as_u64() == Some(7)
    })
    .await;
    env.remove().await;
    folder.remove().await;
}

/// Forwards to a `MongoDB`, except queries for rows while `swallows` is set: their connections stay open without
/// an answer.
async fn forward(client: TcpStream, server: String, swallows: Arc<AtomicBool>) -> std::io::Result<()> {
    let (mut from_server, mut to_server) = TcpStream::connect(server).await?.into_split();
    let (mut from_client, mut to_client) = client.into_split();
    tokio::spawn(async move { copy(&mut from_server, &mut to_client).await });
    let mut bytes = vec![0; 64 * 1024];
    loop {
        let read = from_client.read(&mut bytes).await?;
        if swallows.load(Ordering::Relaxed) && bytes[..read].windows(9).any(|bytes| bytes == b"SyncEvent") {
            std::future::pending::<()>().await;
        }
        if read == 0 {
            return Ok(());
        }
        to_server.write_all(&bytes[..read]).await?;
    }
}

/// The driver notices a server that is down, but not a connection that hangs.
#[tokio::test]
async fn a_question_whose_connection_hangs_is_answered_in_time() {
    let env = TestEnv::new();
    let server = env.mongo_uri().trim_start_matches("mongodb://").split(['/', '?', ',']).next().unwrap().to_owned();
    let (listener, swallows) = (TcpListener::bind("127.0.0.1:0").await.unwrap(), Arc::new(AtomicBool::new(false)));
    let uri = format!("mongodb://{}/?directConnection=true", listener.local_addr().unwrap());
    let swallow = Arc::clone(&swallows);
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            tokio::spawn(forward(client, server.clone(), Arc::clone(&swallow)));
        }
    });
    let api = env.api(&["--mongo-uri", &uri]).await;
    let ask = async || api.get("/api/device/a/sync-history").await.0;
    assert_eq!(ask().await, 200);
    swallows.store(true, Ordering::Relaxed);
    assert_eq!(ask().await, 503);
    swallows.store(false, Ordering::Relaxed);
    assert_eq!(ask().await, 200);
    env.finish().await;
}
