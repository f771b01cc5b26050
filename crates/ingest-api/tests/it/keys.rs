//! Keys as an operator makes them, and their effect on all routes and on a fleet.

use reqwest::Client;
use testkit::{
    TestEnv, body, hours_ago,
    keys::{api, api_with, key},
};

#[tokio::test]
async fn a_key_that_sends_too_much_is_told_when_to_come_back_and_another_one_passes() {
    let env = TestEnv::new();
    let (busy, other) = (key(&env, "ingest").await, key(&env, "ingest").await);
    let api = api_with(&env, "enforce", &["--key-rate", "1"]).await;
    let post = async |key: &str, device: usize| {
        let report = body(&format!("pibook-{device}"), hours_ago(1), false);
        let request = Client::new().post(format!("{}/api/sync-event", api.url)).bearer_auth(key).json(&report);
        request.send().await.unwrap()
    };
    let mut accepted = 0;
    let refused = loop {
        let answer = post(&busy, accepted).await;
        match answer.status().as_u16() {
            202 => accepted += 1,
            429 => break answer,
            status => panic!("{status}"),
        }
        assert!(accepted < 100, "no limit in sight");
    };
    // A burst of ten, and one more for each second that passed.
    assert!(accepted >= 10, "{accepted}");
    let wait: u64 = refused.headers()["retry-after"].to_str().unwrap().parse().unwrap();
    assert!((1..=4).contains(&wait), "{wait}");
    assert_eq!(post(&other, accepted).await.status().as_u16(), 202);
    let _worker = env.work().await;
    env.finish().await;
}

#[tokio::test]
async fn a_simulated_fleet_sends_with_a_key_and_shows_it_nowhere() {
    let env = TestEnv::new();
    let ingest = key(&env, "ingest").await;
    let api = api(&env, "enforce").await;
    std::fs::write(env.path("key"), format!("{ingest}\n")).unwrap();
    let (by_file, with_file) = (env.path("key").display().to_string(), "--api-key-file");
    for (variable, args, good) in
        [(Some(&ingest), &[][..], true), (None, &[with_file, &by_file], true), (None, &[], false)]
    {
        let run = ["run", "--api", &api.url, "--devices", "5", "--rounds", "2", "--pattern", "burst"];
        let mut command = env.command("fleet-sim", &[&run, args].concat());
        command.env("RUST_LOG", "trace");
        if let Some(key) = variable {
            command.env("PISYNC_API_KEY", key);
        }
        let output = command.output().await.unwrap();
        let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
        assert_eq!(output.status.success(), good, "{said}");
        assert!(!said.contains(ingest.rsplit('_').next().unwrap()), "{said}");
    }
    let _worker = env.work().await;
    env.drained().await;
    assert_eq!(env.rows().await.len(), 20);
    env.finish().await;
}
