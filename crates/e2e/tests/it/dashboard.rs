//! The dashboard: in a real browser over a real system with a simulated fleet, and its parts that need no browser.

use jiff::SignedDuration;
use pisync_core::{
    models::{AlertState, Incident},
    time::hour_of,
};
use reqwest::Client;
use serde_json::{Value, json};
use testkit::{
    Answer, Api, FakeReceiver, TestEnv, body, client, header, hours_ago,
    keys::{api, key},
    setting, workspace_root,
    world::{alerter_ticked, device, failing, save},
};
use tokio::process::Command;

/// A device whose name has to be escaped everywhere.
const DEVICE: &str = "école / 7";

/// A device with the longest possible name.
const LONG: &str = "a-name-that-is-as-long-as-a-name-may-be";

/// Sets up a fleet with failures of both causes, their incidents, and two dead letters.
async fn fleet(env: &TestEnv, api: &Api, key: &str) {
    let args = ["run", "--api", &api.url, "--devices", "120", "--rounds", "30", "--failure-rate", "0.25"];
    let more = ["--pattern", "burst", "--seed", "7", "--device-prefix", "pibook"];
    let labels = ["--label", "contentVersion=41,42,43,44", "--bad-label", "contentVersion=42"];
    let mut command = env.command("fleet-sim", &[&args[..], &more, &labels].concat());
    let output = command.env("PISYNC_API_KEY", key).output().await.unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let post = Client::new().post(format!("{}/api/v1/sync-events", api.url)).bearer_auth(key);
    let mut reports: Vec<_> = (1..5).map(|hour| body(DEVICE, hours_ago(hour), true)).collect();
    reports.push(body(&format!("{LONG:-<128}"), hours_ago(1), false));
    assert_eq!(post.json(&reports).send().await.unwrap().status().as_u16(), 202);
    let queue = env.queue();
    let letters = ["no event <script>alert(1)</script>", "no event either"].map(|text| text.as_bytes().to_vec());
    queue.push(queue.partitions().next().unwrap(), &letters, 1_000).await.unwrap();
}

/// Returns the links of the alerts in a message.
fn links(message: &Value) -> Vec<String> {
    let alerts = message["alerts"].as_array().unwrap().iter();
    alerts.map(|alert| alert["generatorURL"].as_str().unwrap().to_owned()).collect()
}

/// Sends the notifications of the incidents: the log accepts them, one webhook is busy and another one is gone. Three
/// further incidents are inhibited by the first one.
async fn send_notifications(env: &TestEnv, url: &str, busy: &FakeReceiver, gone: &FakeReceiver) {
    let says = |status: u16| Answer::Says(status, String::new(), "no".to_owned());
    busy.answers(vec![says(503); 100]);
    gone.answers(vec![says(410); 100]);
    let webhook = |name: &str, fake_receiver: &FakeReceiver| {
        let (receiver, route) = ("[[receiver]]\ntype = \"webhook\"", "[[route]]\ncontinue = true\ngroup_wait = \"0s\"");
        format!(
            "{receiver}\nname = \"{name}\"\nurl = \"{}\"\n\n{route}\nreceiver = \"{name}\"\n\n",
            fake_receiver.url()
        )
    };
    // A third of this fleet fails: this rule keeps an incident per device instead of one of the fleet.
    let rules = "[rules.fleet_sync_failing]\nat_least = 1000\n";
    std::fs::write(env.path("alerts.toml"), webhook("busy", busy) + &webhook("gone", gone) + rules).unwrap();
    let (log, config) = (env.path("alerts.log").display().to_string(), env.path("alerts.toml").display().to_string());
    let mut look =
        env.start("once.log", "alerter", &["--once", "--alert-log", &log, "--config", &config, "--external-url", url]);
    assert_eq!(look.ended().await.code(), Some(1), "not all was delivered\n{}", look.log());
    // A message links to a page that requires a session.
    let links: Vec<_> = busy.received().iter().flat_map(|message| links(&message.json())).collect();
    for link in &links {
        assert!(link.starts_with(url), "{links:?}");
        assert_eq!(client().get(link).send().await.unwrap().status().as_u16(), 303, "{link}");
    }
    assert!(links.iter().any(|link| link.contains("/device?id=")), "{links:?}");
    let open = env.store().await.alerts().open_of(&device(DEVICE)).await.unwrap().unwrap();
    assert_eq!(open.alert.state, AlertState::Firing);
    // The browser test takes longer than one tick is valid for.
    alerter_ticked(env, SignedDuration::ZERO, SignedDuration::from_hours(1)).await;
    for i in 0..3 {
        save(env, Incident { inhibited_by: Some(open.alert.id), ..failing(&format!("held-{i}")) }).await;
    }
}

#[tokio::test]
async fn the_dashboard_is_looked_at_in_a_browser() {
    let env = TestEnv::new();
    let (ingest, read, operate) = (key(&env, "ingest").await, key(&env, "read").await, key(&env, "operate").await);
    let api = api(&env, "enforce").await;
    let _worker = env.worker("worker.log", &[]).await;
    fleet(&env, &api, &ingest).await;
    env.drained().await;
    let (busy, gone) = (FakeReceiver::start().await, FakeReceiver::start().await);
    send_notifications(&env, &api.url, &busy, &gone).await;

    let mut command = Command::new("node");
    command.arg(workspace_root().join("crates/e2e/browser/dashboard.mjs"));
    command.env("DASHBOARD_URL", &api.url).env("DASHBOARD_PREFIX", "pibook").env("DASHBOARD_DEVICE", DEVICE);
    command
        .env("DASHBOARD_INGEST_KEY", &ingest)
        .env("DASHBOARD_READ_KEY", &read)
        .env("DASHBOARD_OPERATE_KEY", &operate);
    command.env("DASHBOARD_CHROMIUM", format!("{}/chromium", setting("PISYNC_TEST_BIN"))).kill_on_drop(true);
    let output = command.output().await.unwrap();
    let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    assert!(output.status.success(), "{said}");
    println!("{said}");
    env.finish().await;
}

#[tokio::test]
async fn a_session_ends_with_its_key_and_a_form_of_another_site_does_nothing() {
    let env = TestEnv::new();
    let operate = key(&env, "operate").await;
    let mut api = api(&env, "enforce").await;
    let sign_in = async |origin: &str| {
        let form = format!("key={operate}&next=%2Falerts");
        let post = client().post(format!("{}/sign-in", api.url)).header("origin", origin).body(form);
        post.header("content-type", "application/x-www-form-urlencoded").send().await.unwrap()
    };
    assert_eq!(sign_in("https://evil.example").await.status().as_u16(), 403);
    let answer = sign_in(&api.url).await;
    assert_eq!((answer.status().as_u16(), header(&answer, "location")), (303, "/alerts"));
    let cookie = header(&answer, "set-cookie").to_owned();
    for attribute in ["HttpOnly", "SameSite=Strict", "Path=/"] {
        assert!(cookie.contains(attribute), "{cookie}");
    }
    let cookie = cookie.split(';').next().unwrap().to_owned();
    let url = api.url.clone();
    let get = async |path: &str, cookie: &str| {
        client().get(format!("{url}{path}")).header("cookie", cookie).send().await.unwrap()
    };
    let answer = get("/", &cookie).await;
    assert_eq!(answer.status().as_u16(), 200);
    let policy = header(&answer, "content-security-policy");
    assert!(policy.contains("default-src 'none'") && !policy.contains("unsafe"), "{policy}");
    assert_eq!(get("/", &cookie.replace('.', "0.")).await.status().as_u16(), 303);

    // A form without the session's token.
    let post = client().post(format!("{url}/dead-letters")).header("cookie", &cookie);
    let post = post.header("content-type", "application/x-www-form-urlencoded");
    let answer = post.body("token=x&action=purge&partition=0&id=x").send().await.unwrap();
    assert_eq!(answer.status().as_u16(), 403);

    testkit::keys::keys(&env, &["revoke", operate.split('_').nth(2).unwrap()]).await;
    api.service.signal(nix::sys::signal::Signal::SIGHUP);
    api.service.says("reloaded what=keys").await;
    let answer = get("/devices?q=a", &cookie).await;
    assert_eq!((answer.status().as_u16(), header(&answer, "location")), (303, "/sign-in?next=%2Fdevices%3Fq%3Da"));
    env.finish().await;
}

#[tokio::test]
async fn who_guesses_at_keys_is_slowed_down() {
    let env = TestEnv::new();
    key(&env, "operate").await;
    let api = api(&env, "enforce").await;
    let mut answers = Vec::new();
    for _ in 0..12 {
        let post = client().post(format!("{}/sign-in", api.url)).body("key=psk_operate_x_y");
        let post = post.header("content-type", "application/x-www-form-urlencoded");
        answers.push(post.send().await.unwrap().status().as_u16());
    }
    assert_eq!((answers[0], *answers.last().unwrap()), (200, 429), "{answers:?}");
    env.finish().await;
}

#[tokio::test]
async fn a_page_says_that_it_is_blind_when_a_server_is_away_and_a_badge_is_a_picture() {
    let folder = tempfile::tempdir().unwrap();
    let mut redis = testkit::RedisServer::start(folder.path().join("redis"), &[]).await;
    let env = TestEnv::on_redis(&redis);
    let api = env.api(&[]).await;
    let text = async |path: &str| {
        let answer = client().get(format!("{}{path}", api.url)).send().await.unwrap();
        (answer.status().as_u16(), header(&answer, "content-type").to_owned(), answer.text().await.unwrap())
    };
    let (status, _, page) = text("/").await;
    assert!(status == 200 && page.contains("No device has reported yet") && !page.contains("All quiet"), "{page}");
    assert!(page.contains("No figure for yesterday yet"), "{page}");
    let (status, media_type, badge) = text("/badge/fleet.svg").await;
    assert_eq!((status, media_type.as_str()), (200, "image/svg+xml"));
    assert!(badge.contains("nobody is alerted"), "{badge}");
    let (status, media_type, page) = text("/device?id=nobody").await;
    assert_eq!((status, media_type.as_str()), (404, "text/html; charset=utf-8"), "{page}");
    assert_eq!(text("/devices?minFailures=x").await.0, 400);

    redis.service().kill().await;
    let (status, _, page) = text("/").await;
    assert!(status == 200 && page.contains("PiSync is blind: Redis is not answering"), "{page}");
    assert_eq!(text("/chart/hours.json").await.0, 503);
    redis.restart().await;
    env.finish().await;
}

/// Returns the stored status counts of each hour, by its start.
async fn status_hours(env: &TestEnv) -> Vec<Value> {
    let mut kept = testkit::mongo_find(env, "StatusHour", json!({})).await;
    kept.sort_by_key(|one| one["_id"]["$date"].to_string());
    kept
}

#[tokio::test]
async fn states_are_counted_once_an_hour_and_held_against_yesterday() {
    let env = TestEnv::new();
    let (day, month) = (hour_of(hours_ago(24)), hour_of(hours_ago(24 * 30)));
    // The same hour yesterday, also if the hour ends during the test; and one beyond the retention.
    let counted = [day, day + SignedDuration::from_hours(1), month].map(|hour| {
        let at = json!({ "$date": hour.to_string() });
        json!({ "_id": at, "takenAt": at, "failing": 3, "silent": 0, "clockSuspect": 7, "ok": 1 })
    });
    testkit::mongo_command(&env, "insert", "StatusHour", json!({ "documents": counted })).await;
    let failing: Vec<_> = (1..5).map(|hour| body("pibook-1", hours_ago(hour), true)).collect();
    let _worker = env.worker("worker.log", &[]).await;
    let first = env.api_named("first.log", &[]).await;
    first.accepts(&failing).await;
    first.accepts(&[body("pibook-2", hours_ago(1), false)]).await;
    env.drained().await;
    let _apis = [
        env.api_named("second.log", &["--first-record-ms", "0"]).await,
        env.api_named("third.log", &["--first-record-ms", "0"]).await,
    ];
    env.until("the hours are added up", async || added_up(&env).await).await;
    let kept = status_hours(&env).await;
    assert_eq!(
        kept.iter().filter(|one| one["clockSuspect"] == json!(7)).count(),
        2,
        "counts beyond the retention are deleted"
    );
    let last = kept.last().unwrap();
    assert_eq!([&last["failing"], &last["silent"], &last["ok"]], [&json!(1), &json!(0), &json!(1)], "{last}");

    let page = client().get(&first.url).send().await.unwrap().text().await.unwrap();
    for words in
        ["\u{25bc} 2 fewer than yesterday", "as many as yesterday", "\u{25bc} 7 fewer", "Yesterday's were counted"]
    {
        assert!(page.contains(words), "{words}: {page}");
    }
    env.finish().await;
}

/// Returns true if the hours of the week are computed although no page has asked for them.
async fn added_up(env: &TestEnv) -> bool {
    let hours = env.store().await.sync_hours().hours(hours_ago(24 * 7), hours_ago(0)).await.unwrap();
    hours.len() >= 24 * 7 - 1 && hours.iter().map(|hour| hour.failed).sum::<u64>() == 4
}
