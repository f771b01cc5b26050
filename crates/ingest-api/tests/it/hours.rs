//! The hours added up: exact, however late and however often reports arrive.

use ingest_api::fleet::Hours;
use jiff::{SignedDuration, Timestamp};
use pisync_core::{
    models::{Late, Speeds, SyncHour},
    presence::LastSeen,
    time::hour_of,
};
use serde_json::{Value, json};
use testkit::{TestEnv, body, hours_ago};

const HOUR: SignedDuration = SignedDuration::from_hours(1);

/// Counts the rows of an hour one by one.
async fn plain_count(env: &TestEnv, hour: Timestamp) -> (u64, u64, i64, i64) {
    let mut sums = (0, 0, 0, 0);
    for row in env.rows().await.into_iter().filter(|row| hour_of(row.id.time()) == hour) {
        *(if row.total_errors > 0 { &mut sums.1 } else { &mut sums.0 }) += 1;
        sums.2 += row.total_files_synced;
        sums.3 += row.total_errors;
    }
    sums
}

fn sums(hour: &SyncHour) -> (u64, u64, i64, i64) {
    (hour.good, hour.failed, hour.files.cast_signed(), hour.errors.cast_signed())
}

/// Returns the hours of a new process.
async fn hours(env: &TestEnv, from: Timestamp, to: Timestamp) -> Vec<SyncHour> {
    Hours::new(env.queue(), env.store().await).of(from, to).await.unwrap()
}

fn report(i: i64, hours: i64, failed: bool) -> Value {
    body(&format!("pibook-{i}"), hour_of(hours_ago(hours)) + SignedDuration::from_secs(i * 7 % 3_600), failed)
}

#[tokio::test]
async fn hours_are_exact_after_late_and_resent_reports() {
    let env = TestEnv::new();
    let (api, _worker) = (env.api(&[]).await, env.worker("worker.log", &["--batch", "7"]).await);
    let (from, to) = (hour_of(hours_ago(5)), hour_of(hours_ago(0)));
    let mut sent = Vec::new();
    for round in 0..4 {
        let new: Vec<_> = (0..40).map(|i| report(100 * round + i, fastrand::i64(1..6), fastrand::bool())).collect();
        api.accepts(&new).await;
        sent.extend(new);
        api.accepts(&fastrand::choose_multiple(&sent, 20).into_iter().cloned().collect::<Vec<_>>()).await;
        env.drained().await;
        let hours = hours(&env, from, to).await;
        assert_eq!(hours.iter().map(|hour| hour.hour).collect::<Vec<_>>(), [0, 1, 2, 3, 4].map(|i| from + HOUR * i));
        for hour in &hours {
            assert_eq!(sums(hour), plain_count(&env, hour.hour).await, "{} in round {round}", hour.hour);
            assert_eq!(hour.speeds.0.iter().sum::<u64>(), hour.good + hour.failed);
            // All have the same speed.
            assert_eq!(hour.speeds.0[Speeds::bucket(97.5)], hour.good + hour.failed);
            assert_eq!(hour.failed_speeds.0[Speeds::bucket(97.5)], hour.failed);
            assert_eq!((hour.connectivity, hour.content), (0, hour.failed));
            assert!(hour.median_speed().is_none_or(|median| (63.0..=100.0).contains(&median)), "{hour:?}");
        }
        assert_eq!(hours.iter().map(|hour| hour.good + hour.failed).sum::<u64>(), env.rows().await.len() as u64);
    }
    env.finish().await;
}

/// A worker stores rows during a computation of the hour, or marks them during it. The mark is later than the
/// computation's time, which precedes its read.
#[tokio::test]
async fn a_report_that_comes_while_its_hour_is_computed_is_in_it_at_the_next_question() {
    let env = TestEnv::new();
    let (api, _worker) = (env.api(&[]).await, env.work().await);
    let (from, to) = (hour_of(hours_ago(2)), hour_of(hours_ago(1)));
    let seen = LastSeen::new(env.queue());
    let minute_ago = seen.now().await.unwrap() - SignedDuration::from_mins(1);
    let before = env.store().await.sync_hours().compute(from, minute_ago).await.unwrap();
    assert_eq!((before.good, before.computed_at), (0, minute_ago));
    api.accepts(&[report(1, 2, false)]).await;
    env.drained().await;
    assert!(seen.touched(from, to).await.unwrap()[&from] > minute_ago);
    assert_eq!(hours(&env, from, to).await[0].good, 1);
    env.finish().await;
}

/// The mark makes an hour stale: an unmarked hour is computed once and then read.
#[tokio::test]
async fn an_hour_that_nothing_touched_is_computed_once_and_one_that_was_is_computed_again() {
    let env = TestEnv::new();
    let seen = LastSeen::new(env.queue());
    let (from, to) = (hour_of(hours_ago(3)), hour_of(hours_ago(2)));
    let first = hours(&env, from, to).await;
    env.until("a later time of Redis", async || seen.now().await.unwrap() > first[0].computed_at).await;
    assert_eq!(hours(&env, from, to).await, first);
    let partition = env.queue().partitions().next().unwrap();
    seen.note(partition, &[], &[from], u64::MAX).await.unwrap();
    assert!(hours(&env, from, to).await[0].computed_at > first[0].computed_at);
    // The last mark counts, in whichever partition it was.
    for partition in env.queue().partitions() {
        for _ in 0..2 {
            let before = seen.touched(from, to).await.unwrap();
            env.until("a later time of Redis", async || seen.now().await.unwrap() > before[&from]).await;
            seen.note(partition, &[], &[from], u64::MAX).await.unwrap();
            assert!(seen.touched(from, to).await.unwrap()[&from] > before[&from]);
        }
    }
    env.finish().await;
}

#[tokio::test]
async fn an_older_computation_does_not_replace_a_newer_one() {
    let env = TestEnv::new();
    let hours = env.store().await.sync_hours();
    let (hour, now) = (hour_of(hours_ago(2)), hours_ago(0));
    for (computed_at, kept) in [(now, now), (now - HOUR, now), (now + HOUR, now + HOUR)] {
        assert_eq!(hours.compute(hour, computed_at).await.unwrap().computed_at, kept);
        assert_eq!(hours.hours(hour, hour + HOUR).await.unwrap()[0].computed_at, kept);
    }
    let at_once = (0..20).map(|i| hours.compute(hour + HOUR, now + SignedDuration::from_secs(i)));
    futures_util::future::try_join_all(at_once).await.unwrap();
    let kept = hours.hours(hour + HOUR, hour + HOUR * 2).await.unwrap();
    assert_eq!(kept[0].computed_at, now + SignedDuration::from_secs(19));
    env.finish().await;
}

/// Reports of a wrong clock must not let the marks grow without limit.
#[tokio::test]
async fn hours_far_from_now_are_not_noted() {
    let env = TestEnv::new();
    let seen = LastSeen::new(env.queue());
    let partition = env.queue().partitions().next().unwrap();
    let noted = [24 * 30, 24 * 8, 1, 0, -24].map(|hours| hour_of(hours_ago(hours)));
    seen.note(partition, &[], &noted, u64::MAX).await.unwrap();
    let touched = seen.touched(Timestamp::MIN, Timestamp::MAX).await.unwrap();
    assert_eq!(touched.keys().copied().collect::<Vec<_>>(), noted[1..4]);
    env.finish().await;
}

#[tokio::test]
async fn failed_syncs_are_told_apart_by_their_cause_as_alerts_are() {
    let env = TestEnv::new();
    let hour = hour_of(hours_ago(2));
    let speeds = [(0.0, true), (0.01, true), (0.499, true), (0.5, true), (97.5, true), (0.2, false), (9.0, false)];
    let rows = speeds.iter().enumerate().map(|(i, (speed, failed))| {
        let id = json!({ "$oid": format!("{:08x}{i:016x}", hour.as_second()) });
        json!({ "_id": id, "deviceId": "a", "totalErrors": i32::from(*failed), "totalFilesSynced": 1, "internetSpeed": speed })
    });
    testkit::mongo_command(&env, "insert", "SyncEvent", json!({ "documents": rows.collect::<Vec<_>>() })).await;
    let found = hours(&env, hour, hour + HOUR).await.remove(0);
    assert_eq!((found.good, found.failed, found.connectivity, found.content), (2, 5, 2, 2));
    let failed: Vec<_> = speeds.iter().filter(|(_, failed)| *failed).map(|(speed, _)| Speeds::bucket(*speed)).collect();
    for (bucket, count) in found.failed_speeds.0.iter().enumerate() {
        assert_eq!(*count, failed.iter().filter(|found| **found == bucket).count() as u64, "{bucket}");
    }
    // An unreadable hour is added up again.
    let unset = json!({ "updates": [{ "q": {}, "u": { "$unset": { "failedSpeeds": 1 }, "$set": { "good": 99 } }, "multi": true }] });
    testkit::mongo_command(&env, "update", "SyncHour", unset).await;
    assert_eq!(hours(&env, hour, hour + HOUR).await.remove(0).good, 2);
    env.finish().await;
}

/// A row for each, received some minutes after the sync, and the sum of them.
#[tokio::test]
async fn syncs_that_were_received_late_are_told_apart() {
    let env = TestEnv::new();
    let hour = hour_of(hours_ago(5));
    let date = |minutes: i64| json!({ "$date": (hour + SignedDuration::from_mins(minutes)).to_string() });
    let rows = [
        (5, 0, 9.0),
        (120, 0, 9.0),
        (121, 0, 9.0),
        (5, 1, 0.2),
        (121, 1, 0.2),
        (121, 3, 9.0),
        (121, 1, 0.0),
        (5, 1, 0.0),
    ];
    let rows = rows.iter().enumerate().map(|(i, (minutes, errors, speed))| {
        let id = json!({ "$oid": format!("{:08x}{i:016x}", hour.as_second()) });
        json!({
            "_id": id, "deviceId": "a", "totalErrors": errors, "totalFilesSynced": 1, "internetSpeed": speed,
            "timestamp": date(0), "createdAt": date(*minutes),
        })
    });
    let mut rows: Vec<_> = rows.collect();
    // Rows of other programs may have any value in these fields.
    for (i, (sync, receipt)) in [(json!("soon"), date(500)), (date(0), json!(7))].into_iter().enumerate() {
        let id = json!({ "$oid": format!("{:08x}{:016x}", hour.as_second(), 100 + i) });
        rows.push(json!({ "_id": id, "deviceId": "b", "totalErrors": 0, "timestamp": sync, "createdAt": receipt }));
    }
    testkit::mongo_command(&env, "insert", "SyncEvent", json!({ "documents": rows })).await;
    let found = hours(&env, hour, hour + HOUR).await.remove(0);
    assert_eq!(found.late, Late { good: 1, connectivity: 1, content: 1, unknown: 1 });
    assert_eq!((found.good, found.failed), (5, 5), "the sums are of all");
    assert_eq!((found.unknown(), found.late.all()), (2, 4));
    env.finish().await;
}

#[tokio::test]
async fn rows_of_other_programs_are_added_up_as_the_counters_see_them() {
    let env = TestEnv::new();
    let hour = hour_of(hours_ago(2));
    let id = |i: u32| json!({ "$oid": format!("{:08x}{i:016x}", hour.as_second()) });
    let rows = json!([
        { "_id": id(1), "deviceId": "old", "totalErrors": 2.0, "totalFilesSynced": 3.0, "internetSpeed": 5 },
        { "_id": id(2), "deviceId": "old", "totalErrors": "many", "internetSpeed": "fast" },
        { "_id": id(3), "deviceId": "old", "totalErrors": null },
    ]);
    testkit::mongo_command(&env, "insert", "SyncEvent", json!({ "documents": rows })).await;
    let hours = hours(&env, hour, hour + HOUR).await;
    assert_eq!(hours[0].speeds.0[Speeds::bucket(5.0)], 1);
    assert_eq!((sums(&hours[0]), hours[0].speeds.0.iter().sum::<u64>()), ((0, 1, 3, 2), 1));
    env.finish().await;
}
