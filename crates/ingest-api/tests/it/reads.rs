//! Histories, alerts and the fleet as people read them.

use std::{io::Write, os::unix::fs::OpenOptionsExt};

use jiff::SignedDuration;
use reqwest::Client;
use testkit::{
    TestEnv, hours_ago,
    world::{all, column, counter, device, event, heard_of, incident, pointed_at, store_counters, store_events, tied},
};

#[tokio::test]
async fn a_history_is_read_to_its_end_through_rows_of_the_same_time() {
    let env = TestEnv::new();
    let api = env.api(&[]).await;
    let at = hours_ago(5);
    let mut events = [tied("a", at, 23), tied("a", hours_ago(8), 7), tied("b", at, 3)].concat();
    events.extend((1..20).map(|hours| event("a", hours_ago(hours) + SignedDuration::from_mins(1), hours % 2 == 0)));
    // Otherwise the index might return rows of the same time in the order of their ids by chance.
    fastrand::shuffle(&mut events);
    store_events(&env, &events).await;
    let mut expected: Vec<_> = events.iter().filter(|(_, event)| event.device_id == device("a")).collect();
    expected.sort_by_key(|(id, event)| std::cmp::Reverse((event.time.timestamp, *id)));
    let expected: Vec<_> = expected.iter().map(|(id, _)| id.to_string()).collect();
    for limit in [1, 2, 5, 7, 22, 23, 24, 48, 49, 50, 200] {
        let read = all(&api, &format!("/api/v1/devices/a/sync-events?limit={limit}"), "_id").await;
        assert_eq!(column(&read, "_id"), expected, "limit {limit}");
    }
    let range = format!("/api/v1/devices/a/sync-events?limit=4&from={}&to={at}", hours_ago(9));
    let read = all(&api, &range, "_id").await;
    let within = |event: &pisync_core::models::SyncEvent| (hours_ago(9)..at).contains(&event.time.timestamp);
    let within: Vec<_> = events.iter().filter(|(_, event)| event.device_id == device("a") && within(event)).collect();
    assert_eq!(read.len(), within.len());
    assert_eq!(all(&api, &format!("/api/v1/devices/a/sync-events?from={at}&to={at}"), "_id").await.len(), 0);
    env.finish().await;
}

#[tokio::test]
async fn a_row_is_the_same_by_cursor_and_by_page() {
    let env = TestEnv::new();
    let api = env.api(&[]).await;
    store_events(&env, &[vec![event("a", hours_ago(1), true)], tied("a", hours_ago(2), 1)].concat()).await;
    let (_, by_cursor) = api.get("/api/v1/devices/a/sync-events").await;
    let (_, by_page) = api.get("/api/device/a/sync-history").await;
    assert_eq!(by_cursor["items"], by_page["data"]["results"]);
    assert_eq!(by_cursor["items"][1]["clockSuspect"], true);
    assert!(by_cursor["nextCursor"].is_null());
    env.finish().await;
}

#[tokio::test]
async fn a_cursor_is_good_for_its_list_alone_and_in_every_process() {
    let env = TestEnv::new();
    let file = crate::signing::signing_key(&env, "signing", 'a');
    let with = ["--signing-key-file", &file];
    let (api, other) = (env.api(&with).await, env.api_named("other.log", &with).await);
    store_events(&env, &(1..9).map(|hours| event("a", hours_ago(hours), false)).collect::<Vec<_>>()).await;
    store_counters(&env, (0..5).map(|i| counter(&format!("pibook-{i}"), 3)).collect()).await;
    let events = "/api/v1/devices/a/sync-events?limit=3";
    let cursor = api.get(events).await.1["nextCursor"].as_str().unwrap().to_owned();
    assert_eq!(other.get(&format!("{events}&cursor={cursor}")).await.1["items"].as_array().unwrap().len(), 3);
    let mut tampered = cursor.clone().into_bytes();
    tampered[8] = if tampered[8] == b'A' { b'B' } else { b'A' };
    let tampered = String::from_utf8(tampered).unwrap();
    for path in [
        format!("/api/v1/devices/b/sync-events?cursor={cursor}"),
        format!("{events}&from=0&cursor={cursor}"),
        format!("{events}&to=2026-11-23T12:00:00Z&cursor={cursor}"),
        format!("/api/v1/devices?cursor={cursor}"),
        format!("/api/v1/alerts?cursor={cursor}"),
        format!("{events}&cursor={tampered}"),
        format!("{events}&cursor={}", &cursor[..cursor.len() - 2]),
        format!("{events}&cursor={cursor}AA"),
        format!("{events}&cursor="),
        format!("{events}&cursor=%00%F0%9F%8C%8D"),
        format!("{events}&cursor={}", "A".repeat(5_000)),
    ] {
        assert_eq!(pointed_at(&api, &path).await, (400, "/cursor".into()), "{path}");
    }
    let failing = api.get("/api/v1/devices?status=failing&limit=2").await.1["nextCursor"].as_str().unwrap().to_owned();
    for filter in ["", "status=ok&", "minFailures=3&", "status=failing&minFailures=4&", "status=failing&q=p&"] {
        let path = format!("/api/v1/devices?{filter}cursor={failing}");
        assert_eq!(pointed_at(&api, &path).await, (400, "/cursor".into()), "{path}");
    }
    env.finish().await;
}

#[tokio::test]
async fn a_key_in_a_file_is_used_in_place_of_that_of_the_process() {
    let env = TestEnv::new();
    let file = env.path("cursor.key");
    let mut only_ours = std::fs::OpenOptions::new();
    only_ours.create_new(true).write(true).mode(0o600).open(&file).unwrap().write_all(&[b'k'; 40]).unwrap();
    let without = env.api(&[]).await;
    let with = env.api_named("with.log", &["--cursor-key-file", file.to_str().unwrap()]).await;
    store_events(&env, &(1..5).map(|hours| event("a", hours_ago(hours), false)).collect::<Vec<_>>()).await;
    let cursor = with.get("/api/v1/devices/a/sync-events?limit=1").await.1["nextCursor"].as_str().unwrap().to_owned();
    let path = format!("/api/v1/devices/a/sync-events?cursor={cursor}");
    assert_eq!(with.get(&path).await.0.as_u16(), 200);
    assert_eq!(pointed_at(&without, &path).await, (400, "/cursor".into()));
    env.finish().await;
}

#[tokio::test]
async fn a_history_streams_as_csv_whatever_its_length() {
    let env = TestEnv::new();
    let api = env.api(&[]).await;
    let name = "=cmd,\"x\"";
    let path = "/api/v1/devices/%3Dcmd%2C%22x%22/sync-events";
    let first = hours_ago(9_000);
    let at = |i: i64| first + SignedDuration::from_secs(i);
    store_events(&env, &(0..20_000).map(|i| event(name, at(i), i % 3 == 0)).collect::<Vec<_>>()).await;
    let client = Client::new();
    let by_name = client.get(format!("{}{path}.csv?to={}", api.url, at(19_999))).send().await.unwrap();
    assert_eq!(by_name.headers()["content-type"], "text/csv; charset=utf-8; header=present");
    let by_name = by_name.text().await.unwrap();
    let exact = client.get(format!("{}{path}.csv?bom=false&to={}", api.url, at(19_999))).send().await.unwrap();
    assert_eq!(format!("\u{feff}{}", exact.text().await.unwrap()), by_name, "a byte order mark unless asked otherwise");
    let by_accept = client.get(format!("{}{path}?to={}", api.url, at(19_999))).header("accept", "text/csv");
    assert_eq!(by_accept.send().await.unwrap().text().await.unwrap(), by_name);
    let lines: Vec<_> = by_name.trim_start_matches('\u{feff}').split_terminator("\r\n").collect();
    assert_eq!(lines.len(), 1 + 19_999);
    assert!(lines[0].starts_with("_id,deviceId,timestamp,"), "{}", lines[0]);
    let defused = ",\"'=cmd,\"\"x\"\"\",";
    assert!(lines[1..].iter().all(|line| line.contains(defused)));
    assert!(lines[1].contains(&format!("{:.3}", at(19_998))), "{}", lines[1]);

    // A client that disconnects half way affects nobody.
    let mut impatient = client.get(format!("{}{path}.csv", api.url)).send().await.unwrap();
    assert!(impatient.chunk().await.unwrap().is_some());
    drop(impatient);
    assert_eq!(api.get("/healthz").await.0.as_u16(), 200);
    env.finish().await;
}

#[tokio::test]
async fn alerts_come_newest_first_with_what_still_has_to_leave() {
    let env = TestEnv::new();
    let api = env.api(&[]).await;
    env.store().await.ensure_indexes().await.unwrap();
    let (at, mut expected) = (hours_ago(10), Vec::new());
    for i in 0..12 {
        // As many begin at the same time as in a fleet that syncs on the hour.
        let since = if i % 2 == 0 { at } else { hours_ago(20 + i) };
        expected.push((since, incident(&env, &format!("pibook-{i}"), since, i % 3 == 0).await.id));
    }
    expected.sort_by_key(|(since, id)| std::cmp::Reverse((*since, id.bytes())));
    let expected: Vec<_> = expected.iter().map(|(_, id)| id.to_string()).collect();
    for limit in [1, 2, 5, 6, 7, 12, 50] {
        assert_eq!(column(&all(&api, &format!("/api/v1/alerts?limit={limit}"), "id").await, "id"), expected);
    }
    let resolved = all(&api, "/api/v1/alerts?state=resolved&limit=3", "id").await;
    assert_eq!(resolved.len(), 4);
    assert!(resolved.iter().all(|alert| alert["state"] == "resolved" && alert["endsAt"].is_string()));
    let of_one = all(&api, "/api/v1/alerts?deviceId=pibook-3&limit=1", "id").await;
    assert_eq!(column(&of_one, "deviceId"), ["pibook-3"]);
    assert_eq!(all(&api, "/api/v1/alerts?deviceId=pibook-3&state=firing", "id").await.len(), 0);
    let of_one = all(&api, "/api/v1/alerts?deviceId=pibook-4&limit=1", "id").await;
    let waiting = &of_one[0]["waiting"][0];
    assert_eq!((&waiting["status"], &waiting["receiver"]), (&"firing".into(), &"log".into()));
    assert_eq!((&waiting["attempts"], of_one[0]["waiting"].as_array().unwrap().len()), (&0.into(), 1));

    let log = env.path("alerts.log").display().to_string();
    assert!(env.start("once.log", "alerter", &["--once", "--alert-log", &log]).ended().await.success());
    let of_one = all(&api, "/api/v1/alerts?deviceId=pibook-4&limit=1", "id").await;
    assert_eq!((&of_one[0]["waiting"], &of_one[0]["dead"]), (&serde_json::json!([]), &serde_json::json!([])));
    assert_eq!(pointed_at(&api, "/api/v1/alerts?state=open").await, (400, "/state".into()));
    assert_eq!(pointed_at(&api, "/api/v1/alerts?deviceId=").await, (400, "/deviceId".into()));
    env.finish().await;
}

#[tokio::test]
async fn the_fleet_is_summed_up_with_each_device_counted_once() {
    let env = TestEnv::new();
    let api = env.api(&[]).await;
    let mut counters: Vec<_> =
        (0..10).map(|i| counter(&format!("pibook-{i}"), if i < 3 { 3 + i } else { 0 })).collect();
    for i in [0, 4, 5] {
        counters[i].clock_suspect_since = Some(hours_ago(2));
    }
    store_counters(&env, counters).await;
    let old = hours_ago(30);
    heard_of(&env, &[("pibook-0", old), ("pibook-1", hours_ago(1)), ("pibook-5", old), ("pibook-6", old)]).await;
    let events = [event("a", hours_ago(1), true), event("a", hours_ago(2), false), event("b", hours_ago(2), false)];
    store_events(&env, &events).await;
    let (status, summary) = api.get_computed("/api/v1/fleet/summary?hours=4").await;
    assert_eq!(status.as_u16(), 200, "{summary}");
    let counts = serde_json::json!({"total":10,"failing":3,"silent":2,"clockSuspect":1,"ok":4});
    assert_eq!(summary["devices"], counts);
    assert_eq!((&summary["syncs"]["good"], &summary["syncs"]["failed"]), (&2.into(), &1.into()));
    assert!((summary["syncs"]["failureShare"].as_f64().unwrap() - 1.0 / 3.0).abs() < 1e-9);
    assert!((63.0..100.0).contains(&summary["medianSpeed"].as_f64().unwrap()), "{summary}");
    let hours = summary["hours"].as_array().unwrap();
    assert_eq!((hours.len(), &hours[1]["good"], &hours[2]["failed"]), (4, &2.into(), &1.into()));
    assert!(summary["computedAt"].is_string());
    for hours in ["0", "169", "-1", "x", ""] {
        assert_eq!(pointed_at(&api, &format!("/api/v1/fleet/summary?hours={hours}")).await, (400, "/hours".into()));
    }
    let (_, one) = api.get_computed("/api/v1/fleet/summary?hours=1").await;
    assert_eq!(
        (&one["medianSpeed"], &one["syncs"]["failureShare"]),
        (&serde_json::Value::Null, &serde_json::Value::Null)
    );
    env.finish().await;
}
