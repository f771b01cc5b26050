//! Measures the duration of a tick that ticks for silent devices, by the number of devices.

use std::time::{Duration, Instant};

use jiff::SignedDuration;

use super::{story::Story, table::durations};
use crate::test_env::TestEnv;

/// The number of measured ticks of each kind.
const TICKS: usize = 10;

/// Measures with devices that were heard of within the hour, and then with a thousandth more that fell silent.
/// Returns true if each silent device has its incident.
#[expect(clippy::print_stdout, reason = "a tool for people")]
pub(super) async fn measure(env: &TestEnv, devices: u32) -> anyhow::Result<bool> {
    let (mut story, silent) = (Story::new(env, SignedDuration::ZERO).await?, devices / 1_000);
    let ago = |minutes: i64| SignedDuration::from_mins(-minutes);
    for slice in 0..60 {
        // All devices were heard of within the hour.
        let of = |slice: u32| slice * devices / 60;
        story.heard(of(slice)..of(slice + 1), ago(i64::from(slice))).await?;
    }
    let well = ticks(&mut story, TICKS).await?;
    story.heard(devices..devices + silent, ago(24 * 60 + 30)).await?;
    let falling = ticks(&mut story, 1).await?;
    let known = ticks(&mut story, TICKS).await?;

    println!("{devices} devices that were heard of within the hour, then {silent} more that are silent");
    for (kind, ticks) in [("nobody silent", well), ("they become silent", falling), ("incidents are open", known)] {
        let [median, longest] = durations(&ticks);
        println!("  a tick, {kind:<21} median {median:.3} s, longest {longest:.3} s, of {}", ticks.len());
    }
    let incidents = story.incidents_of_devices().await?;
    println!("  incidents                     {incidents}");
    Ok(incidents == u64::from(silent))
}

async fn ticks(story: &mut Story<'_>, count: usize) -> anyhow::Result<Vec<Duration>> {
    let mut ticks = Vec::new();
    for _ in 0..count {
        let begun = Instant::now();
        story.tick(SignedDuration::ZERO).await?;
        ticks.push(begun.elapsed());
    }
    Ok(ticks)
}
