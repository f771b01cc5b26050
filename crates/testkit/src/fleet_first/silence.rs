//! What a look costs that asks who is silent, by how many devices there are.

use std::time::{Duration, Instant};

use jiff::SignedDuration;

use super::{story::Story, table::durations};
use crate::test_env::TestEnv;

/// How many looks of a kind are measured.
const LOOKS: usize = 10;

/// Measures with so many devices that were heard of within the hour, and then with a thousandth of
/// them more that fell silent; whether each of these has its incident.
#[expect(clippy::print_stdout, reason = "a tool for people")]
pub(super) async fn measure(env: &TestEnv, devices: u32) -> anyhow::Result<bool> {
    let (mut story, silent) = (Story::new(env, SignedDuration::ZERO).await?, devices / 1_000);
    let ago = |minutes: i64| SignedDuration::from_mins(-minutes);
    for slice in 0..60 {
        // All were heard of within the hour.
        let of = |slice: u32| slice * devices / 60;
        story.heard(of(slice)..of(slice + 1), ago(i64::from(slice))).await?;
    }
    let well = looks(&mut story, LOOKS).await?;
    story.heard(devices..devices + silent, ago(24 * 60 + 30)).await?;
    let falling = looks(&mut story, 1).await?;
    let known = looks(&mut story, LOOKS).await?;

    println!("{devices} devices that were heard of within the hour, and {silent} that fell silent after it");
    for (what, looks) in [("nobody silent", well), ("they fall silent", falling), ("they are known to be", known)] {
        let [median, longest] = durations(&looks);
        println!("  a look, {what:<21} median {median:.3} s, longest {longest:.3} s, of {}", looks.len());
    }
    let incidents = story.incidents_of_devices().await?;
    println!("  incidents                     {incidents}");
    Ok(incidents == u64::from(silent))
}

async fn looks(story: &mut Story<'_>, count: usize) -> anyhow::Result<Vec<Duration>> {
    let mut looks = Vec::new();
    for _ in 0..count {
        let begun = Instant::now();
        story.tick(SignedDuration::ZERO).await?;
        looks.push(begun.elapsed());
    }
    Ok(looks)
}
