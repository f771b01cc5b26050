//! Many devices that fail for one reason are one message. `scripts/fleet-first` is the same at the size of a
//! real fleet.

use clap::Parser;
use jiff::SignedDuration;
use pisync_core::models::SyncEvent;
use testkit::{
    AlerterHarness, TestEnv, body,
    fleet_first::{self, ContentRelease, Settings, content_release, push},
    world::device,
};

async fn one_message_and_a_digest(is_herd: bool) {
    let (env, release) = (TestEnv::new(), ContentRelease::of(2_000, is_herd));
    let told = content_release(&env, &release).await.unwrap();
    assert!(told.is_right(&release), "{told:#?}");
    let message = |at: usize| told.lines[at]["message"].as_str().unwrap();
    assert!(message(0).contains(" of "), "{}", message(0));
    assert!(
        message(2).starts_with("PiSync: 12 devices have not recovered;") && message(2).contains("pibook-000000"),
        "{}",
        message(2)
    );
    env.finish().await;
}

#[tokio::test]
async fn a_fifth_of_a_fleet_that_reports_over_the_hour_is_one_message_and_a_digest() {
    one_message_and_a_digest(false).await;
}

#[tokio::test]
async fn a_fifth_of_a_fleet_that_reports_as_a_herd_is_one_message_and_a_digest() {
    one_message_and_a_digest(true).await;
}

/// The third failures of 200 devices come all at once, and hints with them, before any tick.
#[tokio::test]
async fn hints_of_many_devices_have_the_fleet_looked_at_first() {
    let (env, now) = (TestEnv::new(), testkit::now());
    let (looker, _worker) = (AlerterHarness::new(&env).await.unwrap(), env.work().await);
    let name = |number: u32| format!("pibook-{number:04}");
    for minutes in [122, 62, 2] {
        let at = now - SignedDuration::from_mins(minutes);
        let report = |number| {
            let report = body(&name(number), at, number < 200).to_string();
            SyncEvent::from_json(report.as_bytes(), at).unwrap()
        };
        push(&env.queue(), &(0..1_000).map(report).collect::<Vec<_>>()).await.unwrap();
        env.drained().await;
    }
    let failing: Vec<_> = (0..200).map(|number| device(&name(number))).collect();
    looker.evaluate(&failing).await.unwrap();
    looker.deliver().await.unwrap();
    let told: Vec<_> = env.alerts().iter().map(|line| line["alertname"].as_str().unwrap().to_owned()).collect();
    assert_eq!(told, ["FleetSyncFailing"]);
    assert_eq!(env.store().await.alerts().count_of_devices().await.unwrap(), 200);
    env.finish().await;
}

#[tokio::test]
async fn schools_are_silent_at_night_and_nobody_is_notified() {
    let settings = Settings::try_parse_from(["fleet-first", "schools", "--devices", "2000"]).unwrap();
    assert!(fleet_first::run(&settings).await.unwrap());
}

/// The control: the same two weeks, with a config that does not name the hours.
#[tokio::test]
async fn without_the_hours_of_schools_each_night_is_a_false_alarm() {
    let settings = Settings::try_parse_from(["fleet-first", "schools-without-hours"]).unwrap();
    assert!(!fleet_first::run(&settings).await.unwrap());
}

#[tokio::test]
async fn while_no_alerter_runs_page_readyz_and_metrics_say_so() {
    let settings = Settings::try_parse_from(["fleet-first", "nobody-alerts"]).unwrap();
    assert!(fleet_first::run(&settings).await.unwrap());
}
