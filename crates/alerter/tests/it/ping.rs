//! The dead man's switch: its service gets a ping after each tick, and none without a tick.

use testkit::{FakeReceiver, TestEnv};

#[tokio::test]
async fn each_look_that_was_done_is_pinged_and_one_that_failed_is_not() {
    let (env, fake_receiver) = (TestEnv::new(), FakeReceiver::start().await);
    std::fs::write(env.path("alerts.toml"), "[ping]\nurl_env = \"PING_URL\"\n").unwrap();
    let (config, log) = (env.path("alerts.toml").display().to_string(), env.path("alerts.log").display().to_string());
    let once = async |more: &[&str]| {
        let args = [&["--once", "--config", &config, "--alert-log", &log], more].concat();
        let mut command = env.command("alerter", &args);
        command.env("PING_URL", format!("{}/uuid-of-a-check", fake_receiver.url()));
        command.output().await.unwrap().status.success()
    };
    assert!(once(&[]).await);
    let pings = fake_receiver.received();
    assert_eq!((pings.len(), pings[0].path.as_str()), (1, "/uuid-of-a-check"));
    assert!(!once(&["--mongo-uri", "mongodb://127.0.0.1:1/?serverSelectionTimeoutMS=200"]).await);
    assert_eq!(fake_receiver.received().len(), 1);

    std::fs::write(env.path("alerts.toml"), format!("[ping]\nurl = \"{}/daemon\"\n", fake_receiver.url())).unwrap();
    let _alerter = env.alerter("alerter.log", &["--config", &config]).await;
    env.until("a ping", async || fake_receiver.received().iter().any(|ping| ping.path == "/daemon")).await;
    env.finish().await;
}
