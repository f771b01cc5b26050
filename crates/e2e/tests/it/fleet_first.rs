//! Many devices that fail for one reason are one message. `scripts/fleet-first` is the same at the
//! size of a real fleet.

use e2e::{
    TestEnv,
    fleet_first::{Story, content_release},
};

async fn one_message_and_a_digest(is_herd: bool) {
    let (env, story) = (TestEnv::new(), Story::of(2_000, is_herd));
    let told = content_release(&env, &story).await.unwrap();
    assert!(told.is_right(&story), "{told:#?}");
    let message = |at: usize| told.lines[at]["message"].as_str().unwrap();
    assert!(message(0).contains(" of "), "{}", message(0));
    assert!(
        message(2).starts_with("12 of the devices are still not well") && message(2).contains("pibook-000000"),
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
