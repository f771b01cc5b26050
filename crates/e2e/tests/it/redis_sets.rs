//! Redis on several servers: everything works, and the system recovers by itself when a master dies.

use std::time::Duration;

use jiff::Timestamp;
use pisync_core::{
    models::{DeviceId, EventId},
    presence::LastSeen,
    queue::{BatchId, Claim, Hints, Queue},
};
use reqwest::StatusCode;
use serde_json::Value;
use testkit::{Api, RedisServer, RedisSet, TestEnv, body, hours_ago};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::watch,
};

/// The behaviour of a device while another master takes over.
#[derive(Clone, Copy)]
enum Devices {
    SendOnce,
    SendAgain,
}

fn device(i: usize) -> DeviceId {
    DeviceId::parse(&format!("pibook-{i}")).unwrap()
}

fn reports(round: i64) -> Vec<Value> {
    (0..30).map(|i| body(&format!("pibook-{i}"), hours_ago(round), true)).collect()
}

/// Posts each report until it is accepted, as a device does.
async fn insist(api: &Api, bodies: &[Value]) {
    for body in bodies {
        let began = testkit::stopwatch();
        loop {
            match api.post(body).await.status() {
                StatusCode::ACCEPTED => break,
                StatusCode::SERVICE_UNAVAILABLE if began.elapsed() < Duration::from_secs(40) => {}
                other => panic!("{other} after {:?}", began.elapsed()),
            }
            testkit::pass(Duration::from_millis(50)).await;
        }
    }
}

/// Uses all operations of the queue, with keys on several servers.
async fn everything(set: &RedisSet, env: &TestEnv, queue: &Queue) {
    let devices: Vec<_> = (0..30).map(device).collect();
    let seen = LastSeen::new(queue.clone());
    assert_eq!(seen.of(&devices).await.unwrap().len(), 30);
    assert_eq!((seen.count().await.unwrap(), seen.page(None, None, None, 50).await.unwrap().len()), (30, 30));
    assert!(seen.touched(Timestamp::MIN, Timestamp::MAX).await.unwrap().len() >= 2);
    assert!((seen.now().await.unwrap().duration_since(hours_ago(0))).abs().as_secs() < 5);
    let hints = Hints::new(queue.clone());
    hints.leave(&devices).await.unwrap();
    assert_eq!(hints.take(100).await.unwrap().len(), 30);
    queue.end_session("a", Duration::from_secs(9)).await.unwrap();
    assert_eq!([queue.is_session_ended("a").await.unwrap(), queue.is_session_ended("b").await.unwrap()], [true, false]);

    // In every partition: a notice, a batch without a lease, an operator's commands.
    let mut wake = queue.wake();
    // The subscription is not active yet.
    while wake.wait(Duration::from_millis(200)).await.is_none() {
        queue.pause().await.unwrap();
        queue.resume().await.unwrap();
    }
    // Notices of the last resume may also arrive late, and would be taken for those of the pushes.
    while wake.wait(Duration::from_millis(500)).await.is_some() {}
    let mut woken = 0;
    for partition in queue.partitions() {
        assert_eq!(queue.push(partition, &[b"no event".to_vec()], 9).await.unwrap().accepted, 1);
        woken += usize::from(wake.wait(Duration::from_secs(5)).await == Some(partition));
        let claim = queue.claim(partition, &BatchId::new(), "test", 9, Duration::from_mins(1)).await.unwrap();
        let Claim::Batch(batch) = claim else { panic!("{claim:?}") };
        set.cli(&["DEL", &format!("{}:{{q:{:02}}}:lease", env.name(), partition.number())]).await;
        let claim = queue.claim(partition, &BatchId::new(), "test", 9, Duration::from_mins(1)).await.unwrap();
        let Claim::Batch(healed) = claim else { panic!("{claim:?}") };
        assert_eq!(healed.messages, batch.messages);
        let _ = queue.ack(&healed.lease, &[]).await.unwrap();
    }
    assert_eq!(woken, queue.partitions().len());
    assert_eq!(queue.status_of_all().await.unwrap().iter().map(|status| status.total("acked")).sum::<u64>(), 60 + 4);
}

/// Kills the master of the first partition. Events accepted by the next master have their rows.
async fn survives(env: &TestEnv, set: &mut RedisSet, api: &Api) {
    let (master, replicas) = set.holders(&format!("{}:{{q:00}}:stats", env.name())).await;
    assert!(!replicas.is_empty());
    let killed = testkit::stopwatch();
    set.server(master).service().kill().await;
    insist(api, &reports(1)).await;
    let took = killed.elapsed();
    env.drained().await;
    let rows = env.rows().await;
    let newest = rows.iter().filter(|row| row.timestamp > hours_ago(2)).map(|row| row.id).collect::<Vec<EventId>>();
    // An event accepted in the moment before the death, and not yet on a replica, is lost.
    assert!(newest.len() >= 29, "{} of 30 after {took:?}", newest.len());
    insist(api, &reports(0)).await;
    env.drained().await;
    assert!(env.rows().await.len() >= rows.len() + 30);
}

/// Another server takes over from the master of the first partition, which stays up. A node of a cluster also names
/// the new master, so no device has to send again.
async fn follows(env: &TestEnv, set: &RedisSet, api: &Api, round: i64, devices: Devices) {
    let rows = env.rows().await.len();
    set.hand_over(&format!("{}:{{q:00}}:stats", env.name())).await;
    match devices {
        Devices::SendAgain => insist(api, &reports(round)).await,
        Devices::SendOnce => api.accepts(&reports(round)).await,
    }
    env.drained().await;
    assert_eq!(env.rows().await.len(), rows + 30);
}

#[tokio::test]
async fn a_cluster_does_all_that_one_server_does_and_survives_a_master() {
    let folder = tempfile::tempdir().unwrap();
    let mut set = RedisSet::cluster(folder.path(), &[]).await;
    let mut env = TestEnv::at(Some(set.url()), None);
    let (api, mut worker) = (env.api(&[]).await, env.worker("worker.log", &["--lease-ms", "1000"]).await);
    api.accepts(&reports(3)).await;
    api.accepts(&reports(2)).await;
    env.drained().await;
    assert_eq!((env.rows().await.len(), env.failure_count("pibook-7").await), (60, 2));
    worker.terminate().await;
    everything(&set, &env, &env.queue()).await;
    let _worker = env.worker("worker-2.log", &["--lease-ms", "1000"]).await;
    follows(&env, &set, &api, 4, Devices::SendOnce).await;
    survives(&env, &mut set, &api).await;

    let repartition = env.command("queue-worker", &["queue", "repartition", "9"]).output().await.unwrap();
    assert!(repartition.status.success(), "{}", String::from_utf8_lossy(&repartition.stderr));
    env.set_partitions(9);
    assert_eq!(LastSeen::new(env.queue()).of(&(0..30).map(device).collect::<Vec<_>>()).await.unwrap().len(), 30);
    env.finish().await;
}

#[tokio::test]
async fn sentinels_name_another_master_and_it_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let mut set = RedisSet::sentinels(folder.path(), &[]).await;
    let env = TestEnv::at(Some(set.url()), None);
    let (api, _worker) = (env.api(&[]).await, env.worker("worker.log", &["--lease-ms", "1000"]).await);
    api.accepts(&reports(3)).await;
    env.drained().await;
    let old = set.holders(&format!("{}:partitions", env.name())).await.0;
    survives(&env, &mut set, &api).await;

    // The old master comes back as a replica, and no client takes it for the master.
    set.server(old).restart().await;
    env.until("a replica again", async || set.is_replica(old).await).await;
    insist(&api, &reports(4)).await;
    env.drained().await;
    follows(&env, &set, &api, 5, Devices::SendAgain).await;
    env.finish().await;
}

/// Starts a forwarder to a port that may change. Open connections keep their server. Returns its address.
async fn address_of(at: watch::Receiver<u16>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut client, _)) = listener.accept().await {
            let port = *at.borrow();
            tokio::spawn(async move {
                let mut server = TcpStream::connect(("127.0.0.1", port)).await?;
                tokio::io::copy_bidirectional(&mut client, &mut server).await
            });
        }
    });
    format!("redis://{address}")
}

#[tokio::test]
async fn a_master_that_became_a_replica_is_left_for_the_one_that_has_its_address_now() {
    let folder = tempfile::tempdir().unwrap();
    let old = RedisServer::start(folder.path().join("old"), &[]).await;
    let new = RedisServer::start(folder.path().join("new"), &[]).await;
    let (switch, at) = watch::channel(old.port());
    let env = TestEnv::at(Some(address_of(at).await), None);
    let queue = env.queue();
    let partition = queue.partitions().next().unwrap();
    let push = async || queue.push(partition, &[b"no event".to_vec()], 9).await;
    assert_eq!(push().await.unwrap().accepted, 1);
    assert_eq!(old.cli(&["REPLICAOF", "127.0.0.1", &new.port().to_string()]).await, "OK");
    switch.send(new.port()).unwrap();
    assert!(push().await.is_err(), "it says READONLY");
    env.until("the new master", async || push().await.is_ok()).await;
    assert_eq!(new.cli(&["LLEN", &format!("{}:{{q:00}}:ready", env.name())]).await, "1");
    env.remove().await;
}

#[tokio::test]
async fn sentinels_with_a_password_of_their_own_are_asked_with_it() {
    let folder = tempfile::tempdir().unwrap();
    let set = RedisSet::guarded_sentinels(folder.path(), "of-the-sentinels").await;
    let env = TestEnv::at(Some(format!("{}?sentinel_password=of-the-sentinels", set.url())), None);
    let (api, _worker) = (env.api(&[]).await, env.worker("worker.log", &[]).await);
    api.accepts(&reports(3)).await;
    env.drained().await;
    assert_eq!(env.rows().await.len(), 30);
    let mut command = env.command("queue-worker", &["queue", "status"]);
    command.env("PISYNC_REDIS_URL", set.url());
    let output = command.output().await.unwrap();
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success() && error.contains("events of the sentinels"), "{error}");
    env.finish().await;
}

/// The master of some partitions does not answer, and no other takes over.
#[tokio::test]
async fn a_partition_whose_master_hangs_holds_up_no_other() {
    let folder = tempfile::tempdir().unwrap();
    let options = ["--cluster-require-full-coverage", "no", "--cluster-replica-no-failover", "yes"];
    let mut set = RedisSet::cluster(folder.path(), &options).await;
    let env = TestEnv::at(Some(set.url()), None);
    let (api, worker) = (env.api(&[]).await, env.worker("worker.log", &["--lease-ms", "1000"]).await);
    api.accepts(&reports(2)).await;
    env.drained().await;
    let queue = env.queue();
    let hanging = set.holders(&format!("{}:{{q:00}}:stats", env.name())).await.0;
    let mut held = Vec::new();
    for partition in queue.partitions() {
        let key = format!("{}:{{q:{:02}}}:stats", env.name(), partition.number());
        if set.holders(&key).await.0 == hanging {
            held.push(partition);
        }
    }
    assert!(held.len() < queue.partitions().len(), "one node has all partitions");
    let is_held = |i: usize| held.contains(&queue.partition_of(&device(i)));
    let (stuck, free): (Vec<_>, Vec<_>) = (0..30).partition(|i| is_held(*i));
    set.server(hanging).service().signal(nix::sys::signal::Signal::SIGSTOP);
    let round = reports(1);
    for _ in 0..5 {
        // Those that hang come first, so that the others would have to wait for them.
        let hang = futures_util::future::join_all(stuck.iter().map(|i| api.post(&round[*i])));
        let go = futures_util::future::join_all(free.iter().map(|i| api.post(&round[*i])));
        let (refused, taken) = tokio::join!(hang, go);
        assert!(
            taken.iter().all(|answer| answer.status() == 202),
            "{:?}",
            taken.iter().map(reqwest::Response::status).collect::<Vec<_>>()
        );
        assert!(refused.iter().all(|answer| answer.status() == 503));
    }
    let (status, ready) = api.get("/readyz").await;
    assert_eq!((status.as_u16(), ready["status"].as_str()), (200, Some("degraded")), "{ready}");
    let numbers: Vec<_> = held.iter().map(|partition| partition.number()).collect();
    assert_eq!(ready["refused"][0]["partitions"], serde_json::json!(numbers), "{ready}");
    // Events of the others are processed.
    env.until("the rows of the others", async || {
        let rows = env.rows().await;
        free.iter().all(|i| rows.iter().any(|row| row.device_id == device(*i).as_str() && row.timestamp > hours_ago(2)))
    })
    .await;
    set.server(hanging).service().signal(nix::sys::signal::Signal::SIGCONT);
    for report in &round {
        env.until("202", async || api.post(report).await.status() == 202).await;
    }
    env.drained().await;
    assert_eq!(env.rows().await.len(), 60, "{}", worker.log());
    env.finish().await;
}
