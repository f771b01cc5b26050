//! The devices and their status, as people look for them.

use reqwest::Client;
use serde_json::Value;
use testkit::{
    TestEnv, hours_ago,
    world::{all, column, counter, device, event, heard_of, incident, pointed_at, store_counters, store_events},
};

/// Three failing devices, two silent ones, one with a suspect clock, and the rest.
async fn fleet(env: &TestEnv) {
    let failures = [("b-worst", 9), ("a-failing", 3), ("c-failing", 3), ("d-nearly", 2)];
    let mut counters: Vec<_> = failures.iter().map(|(id, failures)| counter(id, *failures)).collect();
    counters.extend(["e-silent", "f-silent", "g-clock", "h-ok", "i-ok"].map(|id| counter(id, 0)));
    for suspect in counters.iter_mut().filter(|c| ["g-clock", "e-silent"].contains(&c.device_id.as_str())) {
        suspect.clock_suspect_since = Some(hours_ago(3));
    }
    store_counters(env, counters).await;
    heard_of(env, &[("e-silent", hours_ago(25)), ("f-silent", hours_ago(100)), ("b-worst", hours_ago(50))]).await;
    let now = ["a-failing", "c-failing", "d-nearly", "g-clock", "h-ok", "i-ok"].map(|id| (id, hours_ago(1)));
    heard_of(env, &now).await;
    store_events(env, &["h-ok", "i-ok"].map(|id| event(id, hours_ago(2), false))).await;
}

async fn ids(api: &testkit::Api, query: &str) -> Vec<String> {
    let mut both = Vec::new();
    for limit in [1, 2, 50] {
        let items = all(api, &format!("/api/v1/devices?{query}&limit={limit}"), "deviceId").await;
        both.push(column(&items, "deviceId").into_iter().map(str::to_owned).collect::<Vec<_>>());
    }
    assert!(both.iter().all(|ids| *ids == both[0]), "{query}: {both:?}");
    both.swap_remove(0)
}

#[tokio::test]
async fn devices_are_found_by_what_they_are() {
    let env = TestEnv::new();
    let api = env.api(&[]).await;
    fleet(&env).await;
    for (query, expected) in [
        ("", "a-failing b-worst c-failing d-nearly e-silent f-silent g-clock h-ok i-ok"),
        ("status=failing", "b-worst a-failing c-failing"),
        ("status=failing&minFailures=4", "b-worst"),
        ("minFailures=2", "b-worst a-failing c-failing d-nearly"),
        ("status=silent", "f-silent e-silent"),
        ("status=clock-suspect", "g-clock"),
        ("status=ok", "d-nearly h-ok i-ok"),
        ("q=c", "c-failing"),
        ("q=.", ""),
        ("q=", "a-failing b-worst c-failing d-nearly e-silent f-silent g-clock h-ok i-ok"),
        ("q=h&status=ok", "h-ok"),
        ("q=f&status=silent", "f-silent"),
        ("q=a&minFailures=3", "a-failing"),
        ("seenBefore=2020-01-01T00:00:00Z", ""),
        ("sort=failures", "b-worst a-failing c-failing d-nearly e-silent f-silent g-clock h-ok i-ok"),
        ("sort=seen", "f-silent b-worst e-silent a-failing c-failing d-nearly g-clock h-ok i-ok"),
        ("status=failing&sort=id", "a-failing b-worst c-failing"),
        ("status=failing&sort=seen", "b-worst a-failing c-failing"),
        ("status=silent&sort=id", "e-silent f-silent"),
        ("status=ok&sort=failures", "d-nearly h-ok i-ok"),
        ("status=clock-suspect&sort=id", "g-clock"),
        ("q=c&sort=failures", "c-failing"),
        ("q=f&sort=seen", "f-silent"),
        ("status=clock-suspect", "g-clock"),
    ] {
        assert_eq!(ids(&api, query).await.join(" "), expected, "{query}");
    }
    let before = format!("seenBefore={}", hours_ago(30));
    assert_eq!(ids(&api, &before).await, ["f-silent", "b-worst"]);
    assert_eq!(ids(&api, &format!("{before}&status=silent")).await, ["f-silent"]);
    assert_eq!(ids(&api, &format!("seenAfter={}&{before}", hours_ago(60))).await, ["b-worst"]);
    env.finish().await;
}

#[tokio::test]
async fn a_prefix_is_text_and_no_pattern() {
    let env = TestEnv::new();
    let api = env.api(&[]).await;
    let names = ["a.b", "axb", "$where", "a*", "^a", "école", "A", "z\u{10FFFD}"];
    let names = names.into_iter().filter(|name| pisync_core::models::DeviceId::parse(name).is_ok());
    store_counters(&env, names.map(|name| counter(name, 0)).collect()).await;
    for (query, expected) in [
        ("a.", vec!["a.b"]),
        ("a.b", vec!["a.b"]),
        (".*", vec![]),
        ("%24where", vec!["$where"]),
        ("%24", vec!["$where"]),
        ("%5Ea", vec!["^a"]),
        ("a*", vec!["a*"]),
        ("a", vec!["a*", "a.b", "axb"]),
        ("%C3%A9", vec!["école"]),
        ("a%00", vec![]),
        ("%00", vec![]),
        ("a.b.c", vec![]),
        ("%7B%22%24ne%22%3A1%7D", vec![]),
    ] {
        assert_eq!(ids(&api, &format!("q={query}")).await, expected, "{query}");
    }
    env.finish().await;
}

#[tokio::test]
async fn few_among_many_are_found_by_short_pages_that_go_on() {
    let env = TestEnv::new();
    let api = env.api(&[]).await;
    let rare = |i: usize| if i == 2_500 { 0 } else { 5 };
    store_counters(&env, (0..3_000).map(|i| counter(&format!("pibook-{i:04}"), rare(i))).collect()).await;
    let (_, first) = api.get("/api/v1/devices?status=ok").await;
    assert_eq!((first["items"].as_array().unwrap().len(), first["nextCursor"].is_string()), (0, true));
    assert_eq!(ids(&api, "status=ok").await, ["pibook-2500"]);
    env.finish().await;
}

#[tokio::test]
async fn a_device_shows_what_is_known_of_it() {
    let env = TestEnv::new();
    let api = env.api(&[]).await;
    fleet(&env).await;
    let (since, at) = (hours_ago(30), hours_ago(2));
    store_events(&env, &(1..9).map(|h| event("a-failing", hours_ago(h), true)).collect::<Vec<_>>()).await;
    let alert = incident(&env, "a-failing", since, false).await;
    let (status, failing) = api.get("/api/v1/devices/a-failing").await;
    assert_eq!(status.as_u16(), 200, "{failing}");
    assert_eq!((&failing["status"], &failing["failureCount"]), (&"failing".into(), &3.into()));
    assert_eq!(
        (&failing["cause"], &failing["openAlert"]["id"]),
        (&"connectivity".into(), &alert.id.to_string().into())
    );
    assert_eq!(failing["lastEvents"].as_array().unwrap().len(), 5);
    let hour = |time: &Value| time.as_str().unwrap()[..16].to_owned();
    assert_eq!(hour(&failing["failingSince"]), since.to_string()[..16]);
    assert_eq!(hour(&failing["lastSuccessAt"]), hours_ago(40).to_string()[..16]);

    let (_, well) = api.get("/api/v1/devices/h-ok").await;
    assert_eq!((&well["status"], well.get("cause"), well.get("openAlert")), (&"ok".into(), None, None));
    // Its counter did not count that sync.
    assert_eq!(hour(&well["lastSuccessAt"]), at.to_string()[..16]);
    assert!(well["lastSeenAt"].is_string());
    let (_, list) = api.get("/api/v1/devices?q=h-ok").await;
    assert_eq!(list["items"][0]["lastSuccessAt"], well["lastSuccessAt"]);
    let (_, suspect) = api.get("/api/v1/devices/g-clock").await;
    assert_eq!((&suspect["status"], suspect["clockSuspectSince"].is_string()), (&"clock-suspect".into(), true));

    store_events(&env, &[event("rows-only", at, false)]).await;
    heard_of(&env, &[("seen-only", at)]).await;
    for id in ["rows-only", "seen-only"] {
        assert_eq!(api.get(&format!("/api/v1/devices/{id}")).await.0.as_u16(), 200, "{id}");
    }
    assert_eq!(pointed_at(&api, "/api/v1/devices/nobody").await, (404, "none".into()));
    env.finish().await;
}

#[tokio::test]
async fn failing_devices_stream_as_csv() {
    let env = TestEnv::new();
    let api = env.api(&[]).await;
    let mut counters: Vec<_> = (0..1_500).map(|i| counter(&format!("pibook-{i:04}"), 3 + i % 7)).collect();
    counters.extend([counter("@sum", 99), counter("well", 2)]);
    store_counters(&env, counters).await;
    let answer = Client::new().get(format!("{}/api/v1/devices.csv?status=failing", api.url)).send().await.unwrap();
    let text = answer.text().await.unwrap();
    let lines: Vec<_> = text.split_terminator("\r\n").collect();
    assert_eq!(lines.len(), 1 + 1_501);
    assert!(lines[1].starts_with("'@sum,failing,99,"), "{}", lines[1]);
    let ids: Vec<_> = lines[2..].iter().map(|line| line.split(',').next().unwrap().to_owned()).collect();
    assert_eq!(ids.iter().map(String::as_str).collect::<Vec<_>>()[..2], ["pibook-0006", "pibook-0013"]);
    assert_eq!(pointed_at(&api, "/api/v1/devices.csv?status=failing&bom=1").await, (400, "/bom".into()));
    for query in ["", "?status=ok"] {
        assert_eq!(pointed_at(&api, &format!("/api/v1/devices.csv{query}")).await, (400, "/status".into()), "{query}");
    }
    env.finish().await;
}

#[tokio::test]
async fn what_cannot_be_asked_is_pointed_at() {
    let env = TestEnv::new();
    let api = env.api(&[]).await;
    for (query, pointer) in [
        ("status=broken", "/status"),
        ("status=", "/status"),
        ("limit=0", "/limit"),
        ("limit=201", "/limit"),
        ("limit=-1", "/limit"),
        ("limit=1e9", "/limit"),
        ("minFailures=0", "/minFailures"),
        ("minFailures=4294967295", "/minFailures"),
        ("minFailures=3&status=ok", "/minFailures"),
        ("seenBefore=yesterday", "/seenBefore"),
        ("seenAfter=", "/seenAfter"),
        ("seenBefore=1000&seenAfter=2000", "/seenAfter"),
        ("seenBefore=1000&q=a", "/seenBefore"),
        ("sort=name", "/sort"),
        ("seenBefore=1000&sort=id", "/sort"),
        ("seenAfter=1000&status=failing", "/seenAfter"),
        ("seenAfter=1000&minFailures=3", "/seenAfter"),
        ("status=ok&status=ok", "/status"),
        ("stauts=ok", "/stauts"),
    ] {
        assert_eq!(pointed_at(&api, &format!("/api/v1/devices?{query}")).await, (400, pointer.into()), "{query}");
    }
    for (query, pointer) in [("from=2000&to=1000", "/from"), ("from=x", "/from"), ("to=", "/to"), ("limit=0", "/limit")]
    {
        let path = format!("/api/v1/devices/a/sync-events?{query}");
        assert_eq!(pointed_at(&api, &path).await, (400, pointer.into()), "{query}");
    }
    let posted = Client::new().post(format!("{}/api/v1/devices", api.url)).send().await.unwrap();
    assert_eq!((posted.status().as_u16(), posted.headers()["allow"].to_str().unwrap()), (405, "GET, HEAD"));
    env.finish().await;
}

#[tokio::test]
async fn an_id_in_the_path_is_that_device_or_a_problem() {
    let env = TestEnv::new();
    let api = env.api(&[]).await;
    let long = "x".repeat(128);
    let names = [("../", "..%2f"), ("..%2f", "..%252f"), ("a/b", "a%2Fb"), ("$where", "$where"), (&long, &long)];
    for (name, path) in names {
        store_events(&env, &[event(name, hours_ago(1), false)]).await;
        let (_, one) = api.get(&format!("/api/v1/devices/{path}")).await;
        assert_eq!(one["deviceId"], device(name).as_str(), "{path}: {one}");
        let (_, events) = api.get(&format!("/api/v1/devices/{path}/sync-events")).await;
        assert_eq!(events["items"][0]["deviceId"], name, "{path}: {events}");
    }
    let too_long = "x".repeat(2_049);
    for path in ["%00", "a%00b", &too_long] {
        for list in ["", "/sync-events", "/sync-events.csv"] {
            let path = format!("/api/v1/devices/{path}{list}");
            assert_eq!(pointed_at(&api, &path).await, (400, "/id".into()), "{path}");
        }
    }
    for path in ["/api/v1/devices/", "/api/v1/devices//sync-events", "/api/v1/", "/api/v1/nothing"] {
        assert_eq!(pointed_at(&api, path).await, (404, "none".into()), "{path}");
    }
    env.finish().await;
}
