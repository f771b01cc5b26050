//! The scenarios, as `fleet-sim scenario` plays them.

use std::process::Output;

use testkit::TestEnv;

/// Plays a scenario on the servers of the tests.
async fn play(env: &TestEnv, args: &[&str]) -> Output {
    let mut command = env.command("fleet-sim", &[&["scenario"], args].concat());
    command.output().await.unwrap()
}

#[tokio::test]
async fn clocks_of_1970_page_nobody_but_those_that_fail_and_all_rows_are_kept_and_flagged() {
    let env = TestEnv::new();
    let output = play(&env, &["clock-1970", "--devices", "1000"]).await;
    let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    assert!(output.status.success(), "{said}");
    assert!(said.contains("12000 rows, 1200 of them") && said.contains("as expected"), "{said}");
    env.finish().await;
}

#[tokio::test]
async fn a_fleet_that_keeps_to_what_it_is_told_is_no_herd_any_more() {
    let env = TestEnv::new();
    let output = play(&env, &["top-of-hour", "--devices", "3000"]).await;
    let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    assert!(output.status.success() && said.contains("in the busiest minute"), "{said}");
    env.finish().await;
}

#[tokio::test]
async fn without_the_program_that_plays_it_a_story_is_refused_and_it_is_said_where_it_is_missed() {
    let (env, folder) = (TestEnv::new(), tempfile::tempdir().unwrap());
    let program = env.command("fleet-sim", &[]).as_std().get_program().to_owned();
    let alone = folder.path().join("fleet-sim");
    std::fs::copy(program, &alone).unwrap();
    let output = tokio::process::Command::new(&alone).args(["scenario", "flapping"]).output().await.unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success(), "{said}");
    assert!(said.contains("fleet_first is not there") && said.contains("scripts/fleet-first"), "{said}");
    env.finish().await;
}
