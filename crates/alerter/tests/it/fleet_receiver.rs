//! A receiver that was away for hours gets, when it is back, all that is still firing.
//!
//! Time passes in the store: waiting messages get older by an hour at a time.

use std::{
    collections::{BTreeSet, HashMap},
    ops::Range,
};

use pisync_core::{
    models::FailureCounter,
    store::{Revision, Saved},
};
use serde_json::json;
use testkit::{
    AlerterHarness, Answer, FakeReceiver, TestEnv, mongo_command,
    world::{counter, device, store_counters},
};

fn name(number: usize) -> String {
    format!("pibook-{number:02}")
}

async fn fail(env: &TestEnv, devices: Range<usize>) {
    store_counters(env, devices.map(|number| counter(&name(number), 3)).collect()).await;
}

async fn recover(env: &TestEnv, devices: Range<usize>) {
    let now = testkit::now();
    let well = |number| FailureCounter {
        last_success_at: Some(now),
        watermark: Some(now),
        ..FailureCounter::new(device(&name(number)))
    };
    let counters: Vec<_> = devices.map(|number| (well(number), Revision::At(1))).collect();
    assert_eq!(env.store().await.failure_counters().save(&counters, &HashMap::new()).await.unwrap(), Saved::All);
}

/// Makes waiting messages an hour older, and releases their leases.
async fn an_hour_passes(env: &TestEnv) {
    let earlier = |field: &str| json!({ "$subtract": [field, 3_600_000] });
    let entry = json!({ "nextAt": earlier("$$entry.nextAt"), "dueSince": earlier("$$entry.dueSince") });
    let each = json!({ "input": "$outbox", "as": "entry", "in": { "$mergeObjects": ["$$entry", entry] } });
    let change = json!([{ "$set": { "outbox": { "$map": each }, "outboxDueAt": earlier("$outboxDueAt") } }]);
    let waiting = json!({ "outboxDueAt": { "$exists": true } });
    mongo_command(env, "update", "Alert", json!({ "updates": [{ "q": waiting, "u": change, "multi": true }] })).await;
    mongo_command(env, "delete", "AlertGroup", json!({ "deletes": [{ "q": {}, "limit": 0 }] })).await;
}

#[tokio::test]
async fn when_a_receiver_is_back_after_three_hours_all_that_is_still_so_is_told() {
    let (env, fake_receiver) = (TestEnv::new(), FakeReceiver::start().await);
    let config = format!(
        "[[receiver]]\nname = \"there\"\ntype = \"webhook\"\nurl = \"{}\"\n\n\
         [[route]]\nreceiver = \"there\"\ngroup_wait = \"0s\"\ngroup_interval = \"0s\"\n",
        fake_receiver.url(),
    );
    let looker = AlerterHarness::with(&env, &config).await.unwrap();
    fail(&env, 0..30).await;
    for hour in 0..3 {
        match hour {
            1 => recover(&env, 0..10).await,
            2 => fail(&env, 30..40).await,
            _ => {}
        }
        looker.tick_at(testkit::clock()).await.unwrap();
        fake_receiver.answers([Answer::Says(503, String::new(), String::new())]);
        assert_eq!(looker.try_to_deliver().await.unwrap(), 1, "hour {hour}");
        an_hour_passes(&env).await;
    }
    let refused = fake_receiver.received().len();
    assert_eq!(refused, 3);

    looker.tick_at(testkit::clock()).await.unwrap();
    looker.deliver().await.unwrap();
    let messages: Vec<_> = fake_receiver.received().split_off(refused);
    let alerts = messages.iter().flat_map(|message| message.json()["alerts"].as_array().unwrap().clone());
    let text = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
    let told: Vec<_> = alerts.map(|alert| (text(&alert["labels"]["deviceId"]), text(&alert["status"]))).collect();
    let expected: BTreeSet<_> = (10..40).map(|number| (name(number), "firing".to_owned())).collect();
    assert_eq!(told.iter().cloned().collect::<BTreeSet<_>>(), expected);
    assert_eq!(told.len(), expected.len(), "each once");
    env.finish().await;
}
