//! From the incident to a fake receiver: grouped messages, retries, and undeliverable ones.

use jiff::SignedDuration;
use serde_json::Value;
use testkit::{Answer, Api, FakeReceiver, Received, TestEnv, body};

/// A schedule that never comes: evaluations are at the start and by hints.
const NEVER: [&str; 2] = ["--schedule", "0 0 29 2 1"];

/// Returns a config with one webhook that may take four seconds, and a group wait of one second.
fn webhook(env: &TestEnv, fake_receiver: &FakeReceiver) -> String {
    let config = format!(
        "[[receiver]]\nname = \"there\"\ntype = \"webhook\"\nurl = \"{}\"\ntimeout = \"4s\"\n\n\
         [[route]]\nreceiver = \"there\"\n\
         group_wait = \"1s\"\ngroup_interval = \"0s\"\n",
        fake_receiver.url(),
    );
    std::fs::write(env.path("alerts.toml"), config).unwrap();
    env.path("alerts.toml").display().to_string()
}

/// Sends three failed syncs of each of so many devices, too long ago to be part of a fleet alert. If asked, a
/// good sync follows.
async fn report(api: &Api, devices: usize, is_well: bool) {
    let minutes = if is_well { vec![1] } else { vec![29, 28, 27] };
    let at = |minutes: i64| testkit::now() - SignedDuration::from_mins(minutes);
    let reports = (0..devices).flat_map(|device| {
        minutes.iter().map(move |minutes| body(&format!("pibook-{device}"), at(*minutes), !is_well))
    });
    api.accepts(&reports.collect::<Vec<_>>()).await;
}

async fn receives(env: &TestEnv, fake_receiver: &FakeReceiver, count: usize) -> Vec<Received> {
    env.until("messages at the far end", async || fake_receiver.received().len() >= count).await;
    fake_receiver.received()
}

async fn nothing_waits(env: &TestEnv, api: &Api) {
    env.until("messages that left", async || {
        let (_, listed) = api.get("/api/v1/alerts?limit=100").await;
        listed["items"].as_array().unwrap().iter().all(|alert| alert["waiting"].as_array().unwrap().is_empty())
    })
    .await;
}

fn alerts(message: &Received) -> Vec<Value> {
    message.json()["alerts"].as_array().unwrap().clone()
}

#[tokio::test]
async fn incidents_that_open_together_are_one_message_that_lists_fifty_and_their_ends_another() {
    let (env, fake_receiver) = (TestEnv::new(), FakeReceiver::start().await);
    let (api, _worker) = (env.api(&[]).await, env.work().await);
    report(&api, 60, false).await;
    env.drained().await;
    let file = webhook(&env, &fake_receiver);
    let one = env.alerter("one.log", &[&NEVER[..], &["--config", &file]].concat()).await;
    let messages = receives(&env, &fake_receiver, 1).await;
    assert_eq!((alerts(&messages[0]).len(), &messages[0].json()["truncatedAlerts"]), (50, &10.into()));
    nothing_waits(&env, &api).await;
    drop(one);

    // All ends are there at the next evaluation.
    report(&api, 60, true).await;
    env.drained().await;
    let _two = env.alerter("two.log", &[&NEVER[..], &["--config", &file]].concat()).await;
    let messages = receives(&env, &fake_receiver, 2).await;
    let ended: Vec<_> = alerts(&messages[1]).iter().map(|alert| alert["status"].clone()).collect();
    assert_eq!((ended.len(), ended.iter().all(|status| status == "resolved")), (50, true));
    nothing_waits(&env, &api).await;
    assert_eq!((env.alerts().len(), fake_receiver.received().len()), (120, 2), "the log lists each");
    env.finish().await;
}

#[tokio::test]
async fn a_message_that_was_not_taken_comes_again_by_its_name_and_a_refused_one_is_shown_as_dead() {
    let (env, fake_receiver) = (TestEnv::new(), FakeReceiver::start().await);
    let (api, _worker) = (env.api(&[]).await, env.work().await);
    let says = |status, headers: &str| Answer::Says(status, headers.to_owned(), "no".to_owned());
    fake_receiver.answers([says(429, "retry-after: 6\r\n"), says(200, ""), says(400, "")]);
    let file = webhook(&env, &fake_receiver);
    let _alerter = env.alerter("alerter.log", &[&NEVER[..], &["--config", &file]].concat()).await;
    report(&api, 1, false).await;
    let first = receives(&env, &fake_receiver, 1).await;
    let asked = testkit::stopwatch();
    let why = async || api.get("/api/v1/alerts").await.1["items"][0]["waiting"][0]["why"].clone();
    env.until("a word on the last attempt", async || why().await.as_str().is_some_and(|why| why.starts_with("429")))
        .await;
    let messages = receives(&env, &fake_receiver, 2).await;
    assert!(asked.elapsed().as_secs() >= 5, "it asked for 6 s: {:?}", asked.elapsed());
    assert_eq!(messages[1].headers["webhook-id"], first[0].headers["webhook-id"]);

    report(&api, 1, true).await;
    let messages = receives(&env, &fake_receiver, 3).await;
    assert_ne!(messages[2].headers["webhook-id"], first[0].headers["webhook-id"]);
    let dead = async || api.get("/api/v1/alerts").await.1["items"][0]["dead"].as_array().unwrap().clone();
    env.until("a message that is given up", async || dead().await.len() == 1).await;
    let dead = dead().await.remove(0);
    assert_eq!((&dead["receiver"], &dead["status"]), (&"there".into(), &"resolved".into()));
    assert!(dead["why"].as_str().unwrap().starts_with("400"), "{dead}");
    env.finish().await;
}

#[tokio::test]
async fn a_receiver_that_takes_longer_than_a_lease_gets_its_message_from_one_alerter_alone() {
    let (env, fake_receiver) = (TestEnv::new(), FakeReceiver::start().await);
    let (api, _worker) = (env.api(&[]).await, env.work().await);
    fake_receiver.answers([Answer::Hangs]);
    let file = webhook(&env, &fake_receiver);
    let args = [&NEVER[..], &["--config", &file, "--lease-ms", "1500"]].concat();
    let _alerters = (env.alerter("one.log", &args).await, env.alerter("two.log", &args).await);
    report(&api, 1, false).await;
    receives(&env, &fake_receiver, 1).await;
    let begun = testkit::stopwatch();
    let messages = receives(&env, &fake_receiver, 2).await;
    assert!(begun.elapsed().as_secs_f64() > 3.5, "while the first was waited for: {:?}", begun.elapsed());
    assert_eq!(messages[0].headers["webhook-id"], messages[1].headers["webhook-id"]);
    env.finish().await;
}
