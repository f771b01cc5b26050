//! The alert config of an operator: checked, tested, reloaded.

use nix::sys::signal::Signal;
use testkit::{
    FakeReceiver, TestEnv, body, hours_ago, workspace_root,
    world::{counter, store_counters},
};
use tokio::process::Command;

/// Returns the exit status of a process, and its output.
async fn ends(mut command: Command) -> (Option<i32>, String) {
    let output = command.output().await.unwrap();
    let said = [output.stdout, output.stderr].concat();
    (output.status.code(), String::from_utf8_lossy(&said).into_owned())
}

/// Returns a config that sends each alert to a webhook by itself and at once.
fn webhook(url: &str) -> String {
    format!(
        "[[receiver]]\nname = \"there\"\ntype = \"webhook\"\nurl = \"{url}\"\n\n[[route]]\nreceiver = \"there\"\n\
         group_by = [\"deviceId\"]\ngroup_wait = \"0s\"\ngroup_interval = \"0s\"\n"
    )
}

fn write(env: &TestEnv, text: &str) -> String {
    std::fs::write(env.path("alerts.toml"), text).unwrap();
    env.path("alerts.toml").display().to_string()
}

#[tokio::test]
async fn the_examples_are_right_once_their_secrets_are_there() {
    let env = TestEnv::new();
    let example = std::fs::read_to_string(workspace_root().join("deploy/alerter/alerts.example.toml")).unwrap();
    let folder = env.path("secrets");
    std::fs::create_dir(&folder).unwrap();
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    for (name, secret) in [
        ("slack-url", "https://hooks.slack.example/services/x"),
        ("pagerduty-key", "key"),
        ("webhook-secret", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"),
        ("ping-url", "https://ping.example/uuid"),
        ("ca.pem", made.cert.pem().as_str()),
    ] {
        std::fs::write(folder.join(name), secret).unwrap();
    }
    let file = write(&env, &example.replace("/run/secrets", &folder.display().to_string()));
    let (code, said) = ends(env.command("alerter", &["check-config", &file])).await;
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("receiver.password_env"), "{said}");
    let mut command = env.command("alerter", &["check-config", &file]);
    command.env("PISYNC_SMTP_PASSWORD", "hunter2");
    let (code, said) = ends(command).await;
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("receivers 5"), "{said}");

    let of_cluster = workspace_root().join("deploy/k8s/example/alerts.toml").display().to_string();
    let (code, said) = ends(env.command("alerter", &["check-config", &of_cluster])).await;
    assert!(code == Some(0) && said.contains("receivers 1"), "{said}");
    env.remove().await;
}

#[tokio::test]
async fn a_config_that_is_not_right_is_told_by_line_and_key_and_starts_nothing() {
    let env = TestEnv::new();
    let file = write(&env, "[[receiver]]\nname = \"a\"\ntype = \"webhook\"\nurl = \"hunter2\"\ncolour = \"hunter2\"\n");
    for arguments in [&["check-config", &file][..], &["--config", &file], &["--once", "--config", &file]] {
        let (code, said) = ends(env.command("alerter", arguments)).await;
        assert_eq!(code, Some(2), "{said}");
        for part in ["alerts.toml:4: receiver.url: must be", "alerts.toml:5: receiver.colour: is not known here"] {
            assert!(said.contains(part), "{said}");
        }
        assert!(!said.contains("hunter2"), "{said}");
    }
    let (code, said) = ends(env.command("alerter", &["check-config", "/no/such/file"])).await;
    assert_eq!(code, Some(2), "{said}");
    let (code, said) = ends(env.command("alerter", &["--external-url", "nowhere"])).await;
    assert!(code == Some(2) && said.contains("PISYNC_EXTERNAL_URL"), "{said}");
    env.remove().await;
}

#[tokio::test]
async fn a_receiver_can_be_tried_out() {
    let (env, fake_receiver) = (TestEnv::new(), FakeReceiver::start().await);
    let file = write(&env, &webhook(fake_receiver.url()));
    let (code, said) = ends(env.command("alerter", &["--config", &file, "test", "there"])).await;
    assert_eq!(code, Some(0), "{said}");
    let statuses: Vec<_> = fake_receiver.received().iter().map(|request| request.json()["status"].clone()).collect();
    assert_eq!(statuses, ["firing", "resolved"]);
    let ids: Vec<_> = fake_receiver
        .received()
        .iter()
        .map(|sent| sent.json()["alerts"][0]["annotations"]["alertId"].clone())
        .collect();
    assert_eq!(ids[0], ids[1]);
    fake_receiver.answers([testkit::Answer::Says(400, String::new(), "not so".into())]);
    let (code, said) = ends(env.command("alerter", &["test", "there", "--config", &file])).await;
    assert!(code == Some(1) && said.contains("400") && said.contains("not so"), "{said}");
    let (code, said) = ends(env.command("alerter", &["test", "nobody", "--config", &file])).await;
    assert!(code == Some(1) && said.contains("nobody"), "{said}");
    env.remove().await;
}

#[tokio::test]
async fn the_floor_of_the_config_decides_what_is_taken_for_the_cause() {
    for (floor, cause) in [("0.1", "content"), ("0.3", "connectivity")] {
        let env = TestEnv::new();
        // Its last failed sync was at 0.2 Mbps.
        store_counters(&env, vec![counter("pibook-1", 3)]).await;
        let file = write(&env, &format!("[rules]\nconnectivity_floor_mbps = {floor}\n"));
        let log = env.path("alerts.log").display().to_string();
        let (code, said) = ends(env.command("alerter", &["--once", "--config", &file, "--alert-log", &log])).await;
        assert_eq!(code, Some(0), "{said}");
        let line = &env.alerts()[0];
        assert_eq!(line["cause"], cause);
        assert!(line["message"].as_str().unwrap().contains(&format!("below {floor} Mbps;")), "{line}");
        env.remove().await;
    }
}

#[tokio::test]
async fn a_new_config_counts_after_sighup_and_a_bad_one_does_not() {
    let env = TestEnv::new();
    let (one, other) = (FakeReceiver::start().await, FakeReceiver::start().await);
    let (api, _worker) = (env.api(&[]).await, env.work().await);
    let file = write(&env, &webhook(one.url()));
    let mut alerter = env.alerter("alerter.log", &["--config", &file]).await;
    let fails = async |device: &str| {
        let reports = (0..3).map(|i| body(device, hours_ago(0) - jiff::SignedDuration::from_mins(9 - i), true));
        api.accepts(&reports.collect::<Vec<_>>()).await;
    };
    fails("a").await;
    env.until("the first message", async || one.received().len() == 1).await;
    assert_eq!(one.received()[0].json()["alerts"][0]["labels"]["deviceId"], "a");

    write(&env, "[[receiver]]\nname = \"there\"\ntype = \"carrier pigeon\"\n");
    alerter.signal(Signal::SIGHUP);
    let said = alerter.says("in force").await;
    assert!(said.contains("alerts.toml:3: receiver.type"), "{said}");
    fails("b").await;
    env.until("the second message", async || one.received().len() == 2).await;

    write(&env, &webhook(other.url()));
    alerter.signal(Signal::SIGHUP);
    alerter.says("reloaded what=").await;
    fails("c").await;
    env.until("the third message", async || other.received().len() == 1).await;
    assert_eq!(one.received().len(), 2);
    assert!(alerter.terminate().await.success());
    env.finish().await;
}

#[tokio::test]
async fn a_renamed_alert_log_is_opened_anew_at_sighup() {
    let env = TestEnv::new();
    let mut alerter = env.alerter("alerter.log", &["--schedule", "* * * * * *"]).await;
    store_counters(&env, vec![counter("before", 3)]).await;
    env.until("the first line", async || env.alerts().len() == 1).await;
    std::fs::rename(env.path("alerts.log"), env.path("alerts.log.1")).unwrap();
    alerter.signal(Signal::SIGHUP);
    alerter.says("opened again").await;
    store_counters(&env, vec![counter("after", 3)]).await;
    env.until("a line in the new file", async || env.path("alerts.log").exists() && env.alerts().len() == 1).await;
    assert_eq!(env.alerts()[0]["deviceId"], "after");
    assert_eq!(std::fs::read_to_string(env.path("alerts.log.1")).unwrap().lines().count(), 1);
    env.finish().await;
}
