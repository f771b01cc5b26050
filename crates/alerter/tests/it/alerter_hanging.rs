//! An alerter on a `MongoDB` that hangs: it goes on as soon as the server answers others.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use testkit::{
    TestEnv,
    world::{counter, store_counters},
};
use tokio::net::{TcpListener, TcpStream};

/// A proxy to a server that can hang: it swallows the bytes of its open connections for ever.
struct HangingWay {
    port: u16,
    /// True while new connections hang. It also makes the open ones hang for ever.
    hangs: Arc<AtomicBool>,
}

impl HangingWay {
    async fn to(server: String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (port, hangs) = (listener.local_addr().unwrap().port(), Arc::new(AtomicBool::new(false)));
        let is_hanging = Arc::clone(&hangs);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(forward(client, server.clone(), Arc::clone(&is_hanging)));
            }
        });
        Self { port, hangs }
    }
}

/// Forwards both ways until the proxy hangs once; from then on it neither answers nor closes.
async fn forward(mut client: TcpStream, server: String, hangs: Arc<AtomicBool>) {
    let mut server = TcpStream::connect(server).await.unwrap();
    let hung = async {
        while !hangs.load(Ordering::Relaxed) {
            testkit::pass(std::time::Duration::from_millis(5)).await;
        }
    };
    let ended = tokio::select! {
        _ = tokio::io::copy_bidirectional(&mut client, &mut server) => true,
        () = hung => false,
    };
    if !ended {
        std::future::pending::<()>().await;
    }
}

#[tokio::test]
async fn a_database_that_hangs_does_not_stop_alerting_for_ever() {
    let env = TestEnv::new();
    let server = env.mongo_uri().trim_start_matches("mongodb://").split(['/', '?']).next().unwrap().to_owned();
    let way = HangingWay::to(server.split(',').next().unwrap().to_owned()).await;
    let uri = format!("mongodb://127.0.0.1:{}/?directConnection=true", way.port);
    let every_second = ["--mongo-uri", &uri, "--tick-timeout-ms", "1500", "--schedule", "* * * * * *"];
    let mut alerter = env.alerter("alerter.log", &every_second).await;
    store_counters(&env, vec![counter("before", 3)]).await;
    env.until("the first alert", async || env.alerts().len() == 1).await;

    way.hangs.store(true, Ordering::Relaxed);
    alerter.says("given up").await;
    // New connections work again; the old ones hang on.
    way.hangs.store(false, Ordering::Relaxed);
    store_counters(&env, vec![counter("after", 3)]).await;
    env.until("the second alert", async || env.alerts().len() == 2).await;
    let said = std::fs::read_to_string(env.path("alerter.log")).unwrap();
    assert!(said.matches("given up").count() <= 3, "said once for each kind of step: {said}");
    env.finish().await;
}
