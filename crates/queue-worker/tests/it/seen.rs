//! Last-seen times of devices, and whether their clocks are believed.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use futures_util::TryStreamExt;
use jiff::Timestamp;
use pisync_core::{
    models::{DeviceId, FailureCounter},
    presence::LastSeen,
};
use proptest::{prelude::*, test_runner::TestRunner};
use serde_json::json;
use testkit::{
    RedisServer, TestEnv, body, hours_ago, mongo_command,
    world::{device, push},
};

fn at(millis: i64) -> Timestamp {
    Timestamp::from_millisecond(millis).unwrap()
}

/// Returns all last-seen entries, read page by page.
async fn walk(
    seen: &LastSeen,
    from: Option<Timestamp>,
    to: Option<Timestamp>,
    limit: usize,
) -> Vec<(Timestamp, DeviceId)> {
    let (mut all, mut after) = (Vec::new(), None);
    loop {
        let page = seen.page(from, to, after.clone(), limit).await.unwrap();
        assert!(page.len() <= limit);
        all.extend(page.into_iter().map(|(device, at)| (at, device)));
        if all.last() == after.as_ref() {
            return all;
        }
        after = all.last().cloned();
    }
}

/// Returns the same in the order of the partitions.
async fn stroll(
    seen: &LastSeen,
    from: Option<Timestamp>,
    to: Option<Timestamp>,
    most: usize,
) -> Vec<(Timestamp, DeviceId)> {
    let steps: Vec<_> = seen.walk(from, to, most).try_collect().await.unwrap();
    assert!(steps.iter().all(|step| step.len() <= most));
    steps.into_iter().flatten().map(|(device, at)| (at, device)).collect()
}

async fn note(seen: &LastSeen, devices: &[(DeviceId, Timestamp)]) {
    seen.restore(devices).await.unwrap();
}

/// A few names whose byte order is not that of a dictionary, at a few times: all ties.
#[test]
fn pages_give_every_device_once_and_in_order_also_of_those_at_the_same_time() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let mut runner = TestRunner::new(ProptestConfig { cases: 60, failure_persistence: None, ..Default::default() });
    let cases = (
        prop::collection::btree_map("[aBé学-]{1,3}", 1_000..1_004_i64, 0..80),
        1..12_usize,
        prop::option::of(999..1_005_i64),
        prop::option::of(999..1_005_i64),
    );
    runner
        .run(&cases, |(devices, limit, from, to)| {
            runtime.block_on(async {
                let env = TestEnv::new();
                let seen = LastSeen::new(env.queue());
                let noted: Vec<_> = devices.iter().map(|(name, millis)| (device(name), at(*millis))).collect();
                note(&seen, &noted).await;
                let within = |millis: i64| from.is_none_or(|from| from <= millis) && to.is_none_or(|to| millis < to);
                let expected: BTreeSet<_> = devices.iter().filter(|(_, millis)| within(**millis)).collect();
                let mut expected: Vec<_> =
                    expected.into_iter().map(|(name, millis)| (at(*millis), device(name))).collect();
                expected.sort();
                assert_eq!(walk(&seen, from.map(at), to.map(at), limit).await, expected);
                let mut strolled = stroll(&seen, from.map(at), to.map(at), limit).await;
                strolled.sort();
                assert_eq!(strolled, expected);
                assert_eq!(seen.count().await.unwrap(), devices.len() as u64);
                let before = devices.values().filter(|millis| **millis < 1_002).count();
                assert_eq!(seen.count_before(at(1_002)).await.unwrap(), before as u64);
                env.queue().remove().await.unwrap();
            });
            Ok(())
        })
        .unwrap();
}

/// A page is never behind. A device that is heard of during paging moves to the end, also if it was the last
/// entry of the previous page. No other device is left out for it.
#[tokio::test]
async fn a_fleet_that_came_back_in_one_millisecond_is_paged_through_while_some_move_on() {
    let env = TestEnv::new();
    let seen = LastSeen::new(env.queue());
    let fleet: Vec<_> = (0..5_000).map(|i| (device(&format!("pibook-{i}")), at(1_000))).collect();
    note(&seen, &fleet).await;
    let (mut found, mut moved, mut after) = (Vec::new(), BTreeSet::new(), None);
    loop {
        let page = seen.page(None, Some(at(2_000)), after, 170).await.unwrap();
        let Some((last, last_at)) = page.last().cloned() else { break };
        found.extend(page.into_iter().map(|(device, _)| device));
        let other = device(&format!("pibook-{}", fastrand::u32(0..5_000)));
        note(&seen, &[(last.clone(), at(3_000)), (other.clone(), at(3_000))]).await;
        moved.insert(other);
        after = Some((last_at, last));
    }
    let once: BTreeSet<_> = found.iter().cloned().collect();
    assert_eq!(once.len(), found.len(), "none came twice");
    let missing: Vec<_> = fleet.iter().map(|(device, _)| device).filter(|device| !once.contains(device)).collect();
    assert!(missing.iter().all(|device| moved.contains(device)), "{missing:?}");
    env.finish().await;
}

#[tokio::test]
async fn a_device_is_forgotten_when_asked_and_a_time_never_goes_back() {
    let env = TestEnv::new();
    let seen = LastSeen::new(env.queue());
    note(&seen, &[(device("a"), at(5_000)), (device("b"), at(6_000))]).await;
    note(&seen, &[(device("a"), at(4_000)), (device("b"), at(7_000))]).await;
    let known = seen.of(&[device("a"), device("b"), device("c")]).await.unwrap();
    assert_eq!(known, HashMap::from([(device("a"), at(5_000)), (device("b"), at(7_000))]));
    seen.forget(&device("a")).await.unwrap();
    assert_eq!(seen.count().await.unwrap(), 1);
    env.finish().await;
}

/// Workers die between rows and last-seen times, and between counters and ack; reports come in random order.
#[tokio::test]
async fn every_device_was_last_heard_of_at_its_newest_receipt_whoever_dies() {
    let env = TestEnv::new();
    let mut reports = Vec::new();
    for i in 0..400_i64 {
        let name = format!("pibook-{}", i % 40);
        let received_at = at(hours_ago(1).as_millisecond() + fastrand::i64(0..1_000_000));
        reports.push((body(&name, hours_ago(i / 40 + 2), i % 3 == 0), received_at));
    }
    // Of the same report in one batch only the first has an effect, so these come with its time.
    let resent: Vec<_> = fastrand::choose_multiple(&reports, 60).into_iter().cloned().collect();
    reports.extend(resent);
    fastrand::shuffle(&mut reports);
    push(&env, &reports).await;
    for point in ["after_counter_before_ack", "after_insert_before_counter", "after_counter_before_ack:3", "after_ack"]
    {
        let args = ["--batch", "20", "--lease-ms", "500", "--crash-at", point];
        let mut worker = env.start("doomed.log", "queue-worker", &args);
        assert!(!worker.ended().await.success());
    }
    let _worker = env.worker("worker.log", &["--batch", "20"]).await;
    env.drained().await;

    let mut newest = BTreeMap::new();
    for (report, received_at) in &reports {
        let newest = newest.entry(device(report["deviceId"].as_str().unwrap())).or_insert(*received_at);
        *newest = (*newest).max(*received_at);
    }
    let devices: Vec<_> = newest.keys().cloned().collect();
    let known = LastSeen::new(env.queue()).of(&devices).await.unwrap();
    assert_eq!(known.into_iter().collect::<BTreeMap<_, _>>(), newest);
    env.finish().await;
}

/// A refusal of Redis loses nothing: the batch is not acknowledged, and comes again.
#[tokio::test]
async fn a_key_of_another_type_is_put_aside_and_holds_up_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let redis = RedisServer::start(folder.path().join("redis"), &[]).await;
    let env = TestEnv::on_redis(&redis);
    let key = format!("{}:{{q:{:02}}}:seen", env.name(), env.queue().partition_of(&device("a")).number());
    redis.cli(&["SET", &key, "no sorted set"]).await;
    let received_at = at(hours_ago(0).as_millisecond());
    push(&env, &[(body("a", hours_ago(1), true), received_at)]).await;
    let _worker = env.worker("worker.log", &[]).await;
    env.drained().await;
    assert_eq!(redis.cli(&["GET", &format!("{key}:unreadable")]).await, "no sorted set");
    assert_eq!(LastSeen::new(env.queue()).of(&[device("a")]).await.unwrap()[&device("a")], received_at);
    assert_eq!((env.rows().await.len(), env.failure_count("a").await), (1, 1));
    env.finish().await;
}

/// Redis has lost everything, or the rows were there before this version.
#[tokio::test]
async fn a_rebuild_brings_back_when_devices_were_last_heard_of() {
    let folder = tempfile::tempdir().unwrap();
    let redis = RedisServer::start(folder.path().join("redis"), &[]).await;
    let env = TestEnv::on_redis(&redis);
    let received_at = at(hours_ago(1).as_millisecond());
    let later = at(received_at.as_millisecond() + 60_000);
    // The older report comes later.
    push(&env, &[(body("a", hours_ago(2), false), received_at), (body("a", hours_ago(3), false), later)]).await;
    push(&env, &[(body("b", hours_ago(2), true), received_at)]).await;
    let mut worker = env.worker("worker.log", &[]).await;
    env.drained().await;
    worker.terminate().await;

    redis.cli(&["FLUSHALL"]).await;
    let seen = LastSeen::new(env.queue());
    assert_eq!(seen.count().await.unwrap(), 0);
    let newer = at(hours_ago(0).as_millisecond());
    note(&seen, &[(device("b"), newer)]).await;
    let output = env.command("queue-worker", &["counters", "rebuild"]).output().await.unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let known = seen.of(&[device("a"), device("b")]).await.unwrap();
    assert_eq!(known, HashMap::from([(device("a"), later), (device("b"), newer)]));
    let touched = seen.touched(hours_ago(24 * 7), hours_ago(0)).await.unwrap();
    assert_eq!(touched.len(), 24 * 7, "the hours are added up again");
    env.finish().await;
}

async fn kept(env: &TestEnv) -> FailureCounter {
    env.counters().await.remove(&device("a")).unwrap()
}

#[tokio::test]
async fn a_clock_that_is_not_believed_is_flagged_until_it_is() {
    let env = TestEnv::new();
    let _worker = env.worker("worker.log", &[]).await;
    let counters = env.store().await.failure_counters();
    let (first, second) = (at(hours_ago(0).as_millisecond() - 60_000), at(hours_ago(0).as_millisecond()));
    let wrong = |millis| body("a", at(millis), false);

    push(&env, &[(body("a", hours_ago(1), false), first), (wrong(1_000), first), (wrong(2_000), second)]).await;
    push(&env, &[(body("well", hours_ago(1), false), second)]).await;
    env.drained().await;
    assert_eq!(kept(&env).await.clock_suspect_since, Some(first));
    assert_eq!(counters.clock_suspect_count().await.unwrap(), 1);
    let page = counters.clock_suspect_page(None, 10).await.unwrap();
    assert_eq!(page.iter().map(|kept| kept.counter.device_id.as_str()).collect::<Vec<_>>(), ["a"]);
    assert!(counters.clock_suspect_page(Some(&device("a")), 10).await.unwrap().is_empty());

    // Neither a rebuild that repairs the counter nor a failure clears the flag.
    let change = json!({ "q": { "deviceId": "a" }, "u": { "$set": { "failureCount": 7 } } });
    mongo_command(&env, "update", "FailureCounter", json!({ "updates": [change] })).await;
    let output = env.command("queue-worker", &["counters", "rebuild"]).output().await.unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    push(&env, &[(body("a", at(3_000), true), second)]).await;
    env.drained().await;
    let counter = kept(&env).await;
    assert_eq!((counter.clock_suspect_since, counter.failure_count()), (Some(first), 1));

    push(&env, &[(body("a", hours_ago(0), false), at(hours_ago(0).as_millisecond()))]).await;
    env.drained().await;
    assert_eq!(kept(&env).await.clock_suspect_since, None);
    assert_eq!(counters.clock_suspect_count().await.unwrap(), 0);
    env.finish().await;
}

/// A fleet with good clocks must not pay for the flag.
#[tokio::test]
async fn a_good_report_of_a_clock_that_stays_as_it_is_writes_no_counter() {
    let env = TestEnv::new();
    let _worker = env.worker("worker.log", &[]).await;
    for wrong in [false, true] {
        let time = |i: i64| if wrong { at(1_000 * i) } else { hours_ago(10 - i) };
        let counters = env.store().await.failure_counters();
        let mut revisions = Vec::new();
        for i in 1..5 {
            push(&env, &[(body("a", time(i), false), hours_ago(0))]).await;
            env.drained().await;
            revisions.push(counters.find(&[device("a")]).await.unwrap()[&device("a")].revision);
        }
        assert!(revisions.iter().all(|revision| *revision == revisions[0]), "{revisions:?}");
    }
    env.finish().await;
}
