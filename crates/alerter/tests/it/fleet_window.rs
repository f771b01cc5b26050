//! The reports of devices in a window of time, and the times at which no API listened.

use jiff::{SignedDuration, Timestamp};
use pisync_core::{
    models::{FleetWindow, SyncEvent},
    presence::Heartbeat,
    process::Process,
    store::Store,
};
use serde_json::json;
use testkit::{TestEnv, mongo_find};

const FLOOR: f64 = 0.5;

/// Returns a report as it would be stored had it been received at `received_at`.
fn report(device: &str, at: Timestamp, received_at: Timestamp, errors: i32, speed: f64) -> SyncEvent {
    let body = json!({
        "deviceId": device, "timestamp": at.to_string(), "totalFilesSynced": 1, "totalErrors": errors,
        "internetSpeed": speed,
    });
    SyncEvent::from_json(body.to_string().as_bytes(), received_at).unwrap()
}

async fn insert(store: &Store, events: Vec<SyncEvent>) {
    let rows: Vec<_> = events.into_iter().map(|event| (event.id(), event)).collect();
    store.sync_events().insert(&rows).await.unwrap();
}

fn minutes(minutes: i64) -> SignedDuration {
    SignedDuration::from_mins(minutes)
}

#[tokio::test]
async fn a_window_counts_each_device_by_its_newest_report_and_cause() {
    let (env, now) = (TestEnv::new(), testkit::now());
    let store = env.store().await;
    let (recent, old) = (now - minutes(5), now - minutes(20));
    insert(
        &store,
        vec![
            report("well", recent, now, 0, 9.0),
            report("recovered", now - minutes(9), now, 1, 9.0),
            report("recovered", recent, now, 0, 9.0),
            report("slow", recent, now, 1, 0.49),
            report("fast", recent, now, 1, 0.5),
            report("fast", now - minutes(9), now, 0, 9.0),
            report("unmeasured", recent, now, 1, 0.0),
            report("earlier", old, now, 1, 9.0),
        ],
    )
    .await;
    let window = store.sync_events().window(now - minutes(15)..now + minutes(5), FLOOR).await.unwrap();
    assert_eq!(window, FleetWindow { reporting: 5, connectivity: 1, content: 1, unknown: 1, clock_off: 0 });
    env.finish().await;
}

/// A clock that was three days fast when it reported: its ids come to lie in the window of today.
#[tokio::test]
async fn a_clock_that_is_not_believed_does_not_count() {
    let (env, now) = (TestEnv::new(), testkit::now());
    let store = env.store().await;
    let received_at = now - SignedDuration::from_hours(72);
    insert(
        &store,
        vec![
            report("fast clock", now - minutes(3), received_at, 1, 9.0),
            report("1970", Timestamp::UNIX_EPOCH, now, 1, 9.0),
        ],
    )
    .await;
    insert(&store, vec![report("well", now - minutes(3), now, 0, 9.0)]).await;
    assert_eq!(env.rows().await.len(), 3);
    let window = store.sync_events().window(now - minutes(15)..now + minutes(5), FLOOR).await.unwrap();
    assert_eq!(window, FleetWindow { reporting: 1, ..FleetWindow::default() });
    let suspects = mongo_find(&env, "SyncEvent", json!({ "clockSuspect": true })).await;
    assert_eq!(suspects.len(), 2);
    env.finish().await;
}

#[tokio::test]
async fn who_is_alive_says_so_and_when_no_api_was_is_written_down_by_the_next() {
    let env = TestEnv::new();
    let heartbeat = Heartbeat::new(env.queue());
    assert_eq!(heartbeat.liveness().await.unwrap(), pisync_core::presence::Liveness::default());
    {
        let (_api, _worker) = (env.api(&[]).await, env.work().await);
        env.until("signs of life", async || {
            let liveness = heartbeat.liveness().await.unwrap();
            liveness.ingest.is_some() && liveness.worker.is_some()
        })
        .await;
    }
    let liveness = heartbeat.liveness().await.unwrap();
    let (ingest, worker) = (liveness.ingest.unwrap(), liveness.worker.unwrap());
    for at in [ingest, worker] {
        assert!(testkit::clock().duration_since(at).abs() < minutes(1), "{at}");
    }
    assert_eq!(liveness.listening.gaps, []);

    let long_ago = (ingest - minutes(360)).as_millisecond().to_string();
    env.redis(&["HSET", "{}:heartbeat", "ingest", &long_ago, "worker", &long_ago]).await;
    heartbeat.send(Process::Worker).await.unwrap();
    assert_eq!(heartbeat.liveness().await.unwrap().listening.gaps, [], "an API tells whether anyone listened");
    heartbeat.send(Process::Ingest).await.unwrap();
    heartbeat.send(Process::Ingest).await.unwrap();
    let gaps = heartbeat.liveness().await.unwrap().listening.gaps;
    assert_eq!(gaps.len(), 1);
    assert_eq!(gaps[0].from, ingest - minutes(360));
    assert!(testkit::clock().duration_since(gaps[0].to).abs() < minutes(1));
    env.finish().await;
}
