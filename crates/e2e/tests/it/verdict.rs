//! The first page does not reassure wrongly: in a real browser, while servers and processes go away, before anything
//! is set up, and with two problems at once.

use std::process::Stdio;

use jiff::SignedDuration;
use pisync_core::models::{Alert, AlertName, Cause, FleetStats, Incident, Subject};
use testkit::{
    TestEnv,
    keys::{api, key},
    setting, workspace_root,
    world::{alerter_ticked, counter, failing, heard_of, save, store_counters},
};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    process::Command,
};

const DEVICE: &str = "pibook-1";

/// Plays a scene of `verdict.mjs` in a browser; `act` executes the steps that it asks for.
async fn play(name: &str, url: &str, mut act: impl AsyncFnMut(&str)) {
    let mut command = Command::new("node");
    command.arg(workspace_root().join("crates/e2e/browser/verdict.mjs")).kill_on_drop(true);
    command.env("DASHBOARD_URL", url).env("SCENE_NAME", name).env("SCENE_DEVICE", DEVICE);
    command.env("DASHBOARD_CHROMIUM", format!("{}/chromium", setting("PISYNC_TEST_BIN")));
    let mut browser = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let (mut answers, mut asked) =
        (browser.stdin.take().unwrap(), BufReader::new(browser.stdout.take().unwrap()).lines());
    let mut errors = browser.stderr.take().unwrap();
    let errors = tokio::spawn(async move {
        let mut text = String::new();
        errors.read_to_string(&mut text).await.map(|_| text)
    });
    while let Some(line) = asked.next_line().await.unwrap() {
        if let Some(what) = line.strip_prefix("ask ") {
            act(what).await;
            answers.write_all(b"done\n").await.unwrap();
        }
    }
    let status = browser.wait().await.unwrap();
    assert!(status.success(), "{}", errors.await.unwrap().unwrap());
}

/// Stores counters of devices as the worker would, with a last-seen time of now.
async fn devices(env: &TestEnv, failures: &[(&str, i32)]) {
    store_counters(env, failures.iter().map(|(device, count)| counter(device, *count)).collect()).await;
    heard_of(env, &failures.iter().map(|(device, _)| (*device, testkit::now())).collect::<Vec<_>>()).await;
}

#[tokio::test]
async fn a_page_whose_server_is_gone_says_so_and_recovers() {
    let env = TestEnv::new();
    devices(&env, &[(DEVICE, 0)]).await;
    alerter_ticked(&env, SignedDuration::ZERO, SignedDuration::from_hours(1)).await;
    let _worker = env.worker("worker.log", &[]).await;
    let mut api = env.api(&[]).await;
    let (url, address) = (api.url.clone(), api.url.trim_start_matches("http://").to_owned());
    play("goneServer", &url, async |what| match what {
        "stop the server" => api.service.kill().await,
        "start the server" => {
            api.service = env.start("again.log", "ingest-api", &["--bind", &address]);
            api.service.says("listening address=").await;
        }
        other => panic!("{other}"),
    })
    .await;
    env.finish().await;
}

#[tokio::test]
async fn a_page_without_an_alerter_says_that_nobody_is_alerted() {
    let env = TestEnv::new();
    devices(&env, &[(DEVICE, 3), ("pibook-2", 4), ("pibook-3", 5)]).await;
    let (api, _worker) = (env.api(&[]).await, env.worker("worker.log", &[]).await);
    let mut alerter = None;
    play("goneAlerter", &api.url, async |what| match what {
        "start the alerter" => {
            alerter = Some(env.alerter("alerter.log", &[]).await);
            env.has_alerts(3).await;
        }
        "kill the alerter, four minutes ago" => {
            alerter.take().unwrap().kill().await;
            alerter_ticked(&env, SignedDuration::from_mins(4), SignedDuration::from_mins(-3)).await;
        }
        other => panic!("{other}"),
    })
    .await;
    env.finish().await;
}

#[tokio::test]
async fn a_page_with_nothing_set_up_says_what_to_do() {
    let env = TestEnv::new();
    let api = env.api(&[]).await;
    let mut processes = Vec::new();
    play("nothingSetUp", &api.url, async |what| match what {
        "start a worker" => {
            processes.push(env.worker("worker.log", &[]).await);
            env.until("the row", async || env.rows().await.len() == 1).await;
        }
        "start the alerter" => processes.push(env.alerter("alerter.log", &[]).await),
        other => panic!("{other}"),
    })
    .await;
    env.finish().await;
}

#[tokio::test]
async fn a_paused_queue_hides_no_open_incident() {
    let env = TestEnv::new();
    devices(&env, &[(DEVICE, 69)]).await;
    let began = testkit::now() - SignedDuration::from_mins(30);
    let fleet = Alert::new(AlertName::FLEET_SYNC_FAILING, Subject::Fleet, began);
    let finding = Some(FleetStats::new(200, 1_000));
    let fleet = Alert { cause: Cause::Content, failure_count: 200, finding, ..fleet };
    save(&env, Incident::new(fleet, began)).await;
    let mut device = failing(DEVICE);
    device.alert.failure_count = 66;
    save(&env, device).await;
    alerter_ticked(&env, SignedDuration::ZERO, SignedDuration::from_hours(1)).await;
    let (api, _worker) = (env.api(&[]).await, env.worker("worker.log", &[]).await);
    env.queue().pause().await.unwrap();
    play("pausedQueue", &api.url, async |what| panic!("{what}")).await;
    env.finish().await;
}

#[tokio::test]
async fn who_sets_up_where_keys_are_needed_is_told_to_make_one() {
    let env = TestEnv::new();
    let read = key(&env, "read").await;
    let api = api(&env, "enforce").await;
    let page = reqwest::Client::new().get(&api.url).bearer_auth(&read).send().await.unwrap().text().await.unwrap();
    assert!(page.contains("Authorization: Bearer $PISYNC_KEY") && page.contains("keys new --scope ingest"), "{page}");
    env.finish().await;
}
