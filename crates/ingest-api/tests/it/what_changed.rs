//! Common properties of failing devices, in the API and on the first page.

use jiff::SignedDuration;
use pisync_core::models::SyncEvent;
use serde_json::{Value, json};
use testkit::{TestEnv, body, fleet_first::push};

/// Returns a report of some minutes ago, with a version of its content.
fn report(device: usize, minutes: i64, failed: bool, version: Option<&str>) -> SyncEvent {
    let at = testkit::now() - SignedDuration::from_mins(minutes);
    let mut report = body(&format!("pibook-{device:04}"), at, failed);
    report["labels"] = version.map_or(Value::Null, |version| json!({ "contentVersion": version, "group": "all" }));
    SyncEvent::from_json(report.to_string().as_bytes(), at).unwrap()
}

/// A thousand devices: a hundred have version 42, and nine in ten of these fail. An hour and a half ago it was
/// those with the other version.
async fn fleet(env: &TestEnv, has_labels: bool) {
    let version = |device| has_labels.then_some(if device < 100 { "42" } else { "41" });
    let fails = |device| if device < 100 { device % 10 > 0 } else { device % 50 == 0 };
    let before = (0..1_000).map(|device| report(device, 90, device >= 100, version(device)));
    let now = (0..1_000).map(|device| report(device, 5, fails(device), version(device)));
    push(&env.queue(), &before.chain(now).collect::<Vec<_>>()).await.unwrap();
    env.drained().await;
}

#[tokio::test]
async fn a_version_that_fails_is_named_with_its_counts_within_the_window_that_was_asked_for() {
    let env = TestEnv::new();
    let (api, _worker) = (env.api(&[]).await, env.work().await);
    fleet(&env, true).await;
    let (status, said) = api.get_computed("/api/v1/fleet/what-changed").await;
    assert_eq!(status.as_u16(), 200, "{said}");
    assert_eq!((&said["reporting"], &said["failing"], &said["minutes"]), (&json!(1_000), &json!(108), &json!(15)));
    let items = said["items"].as_array().unwrap();
    assert_eq!(items.len(), 1, "{said}");
    let message = "contentVersion=42: 90 % failing against 2 % elsewhere (90 of 100 against 18 of 900)";
    assert_eq!((&items[0]["label"], &items[0]["value"]), (&json!("contentVersion"), &json!("42")));
    assert_eq!((&items[0]["message"], &items[0]["restFailing"]), (&json!(message), &json!(18)));
    assert!(items[0]["atLeast"].as_f64().unwrap() > 0.6, "{said}");
    assert_eq!((&said["comparedValues"], &said["leftOutDevices"]), (&json!(3), &json!(0)));

    // An answer is cached for a while, for its own minutes.
    let (_, again) = api.get_computed("/api/v1/fleet/what-changed?minutes=15").await;
    assert_eq!(again["computedAt"], said["computedAt"]);
    let (_, longer) = api.get_computed("/api/v1/fleet/what-changed?minutes=120").await;
    assert_eq!(longer["items"], said["items"], "the newest report of each counts");
    for wrong in ["0", "181", "x", "-1"] {
        let (status, problem) = api.get(&format!("/api/v1/fleet/what-changed?minutes={wrong}")).await;
        assert_eq!((status.as_u16(), &problem["errors"][0]["pointer"]), (400, &json!("/minutes")), "{problem}");
    }
    env.finish().await;
}

#[tokio::test]
async fn the_first_page_says_what_stands_out_and_nothing_where_nothing_does() {
    for has_labels in [true, false] {
        let env = TestEnv::new();
        let (api, _worker) = (env.api(&[]).await, env.work().await);
        fleet(&env, has_labels).await;
        let page = async |is_part: bool| {
            let request = reqwest::Client::new().get(format!("{}/", api.url));
            let request = if is_part { request.header("hx-request", "true") } else { request };
            request.send().await.unwrap().text().await.unwrap()
        };
        // A busy machine may not have computed it in the time of a page.
        let is_computed = async || !has_labels || page(false).await.contains("What changed");
        env.until("what changed", is_computed).await;
        let text = page(false).await;
        assert_eq!(text.contains("What changed"), has_labels, "{text}");
        assert_eq!(text.contains("contentVersion=42") && text.contains("90 of 100"), has_labels, "{text}");
        assert!(text.len() < 150_000, "{}", text.len());
        assert!(!page(true).await.contains("What changed"), "the part that is fetched again has it not");
        env.finish().await;
    }
}
