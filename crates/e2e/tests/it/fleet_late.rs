//! What comes late pages nobody: devices that were away send all that they kept, in any order.

use e2e::{TestEnv, body, fleet_first::push, hours_ago};
use pisync_core::models::SyncEvent;

/// How many devices come back.
const DEVICES: usize = 100;

/// Three days of failed syncs each, the last of them four hours ago, and a good one just now: all of
/// these come in a random order, while two alerters look at each hint.
#[tokio::test]
async fn three_days_of_failed_syncs_and_a_good_one_in_any_order_page_nobody() {
    let env = TestEnv::new();
    let _alerters = (env.alerter("one.log", &[]).await, env.alerter("two.log", &[]).await);
    let report = |device: usize, hours: i64| {
        let body = body(&format!("pibook-{device}"), hours_ago(hours), hours > 0).to_string();
        SyncEvent::from_json(body.as_bytes(), hours_ago(0)).unwrap()
    };
    let mut events: Vec<_> =
        (0..DEVICES).flat_map(|device| (4..76).chain([0]).map(move |hours| report(device, hours))).collect();
    fastrand::Rng::with_seed(7).shuffle(&mut events);
    push(&env.queue(), &events).await.unwrap();
    let _worker = env.worker("worker.log", &["--batch", "200"]).await;
    env.drained().await;
    assert_eq!(env.rows().await.len(), DEVICES * 73);
    let log = env.path("alerts.log").display().to_string();
    assert!(env.start("once.log", "alerter", &["--once", "--alert-log", &log]).ended().await.success());
    assert_eq!(env.alerts(), [serde_json::Value::Null; 0]);
    assert_eq!(env.store().await.alerts().count_of_devices().await.unwrap(), 0, "nor did any incident begin");
    env.finish().await;
}
