//! Labels of devices, from the report to the reads.

use serde_json::{Value, json};
use testkit::{TestEnv, body, hours_ago, mongo_find};

/// A report with labels.
fn labelled(device: &str, hours: i64, labels: &Value) -> Value {
    let mut report = body(device, hours_ago(hours), false);
    report["labels"] = labels.clone();
    report
}

#[tokio::test]
async fn labels_are_in_the_row_and_in_what_is_read_and_without_them_a_row_is_as_before() {
    let env = TestEnv::new();
    let (api, _worker) = (env.api(&[]).await, env.work().await);
    let labels = json!({ "region": "nord é", "contentVersion": "42" });
    let plain = body("plain", hours_ago(1), true);
    api.accepts(&[labelled("one", 1, &labels), labelled("none", 1, &json!({})), plain]).await;
    let (status, said) = api
        .send(
            "POST",
            "/api/v1/sync-events",
            &json!([labelled("batch", 1, &labels), labelled("batch", 2, &Value::Null)]),
        )
        .await;
    assert_eq!((status.as_u16(), &said["accepted"]), (202, &json!(2)), "{said}");
    env.drained().await;

    let rows = mongo_find(&env, "SyncEvent", json!({ "labels": labels })).await;
    assert_eq!(rows.len(), 2, "{rows:?}");
    for device in ["plain", "none"] {
        let rows = mongo_find(&env, "SyncEvent", json!({ "deviceId": device })).await;
        let members: Vec<_> = rows[0].as_object().unwrap().keys().map(String::as_str).collect();
        let expected = [
            "_id",
            "createdAt",
            "deviceId",
            "internetSpeed",
            "timestamp",
            "totalErrors",
            "totalFilesSynced",
            "updatedAt",
        ];
        assert_eq!(members, expected);
    }
    let counters = mongo_find(&env, "FailureCounter", json!({ "labels": { "$exists": true } })).await;
    let mut devices: Vec<_> = counters.iter().map(|counter| counter["deviceId"].as_str().unwrap()).collect();
    devices.sort_unstable();
    let stored = json!(["contentVersion=42", "region=nord é"]);
    assert!(counters.iter().all(|counter| counter["labels"] == stored), "{counters:?}");
    assert_eq!(devices, ["batch", "one"], "a counter has labels only if its device has any");

    let (_, page) = api.get("/api/device/one/sync-history").await;
    assert_eq!(page["data"]["results"][0]["labels"], labels, "{page}");
    let (_, list) = api.get("/api/v1/devices/batch/sync-events").await;
    assert_eq!((&list["items"][0]["labels"], list["items"][1].get("labels")), (&labels, None), "{list}");
    let (_, device) = api.get("/api/v1/devices/one").await;
    assert!(device.to_string().contains("nord é"), "{device}");
    env.finish().await;
}
