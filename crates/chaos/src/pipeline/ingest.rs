//! An API that dies while the fleet sends, and comes back at the same address.

use tokio::time::sleep;

use super::stage::Stage;
use crate::crash::{kill, wait_for_crash};

/// The most often an API passes its point until it dies there.
const PASSES: u32 = 40;

/// API after API dies at `point`.
pub(crate) async fn killed_at(stage: &mut Stage, point: &str) -> anyhow::Result<usize> {
    stage.cast.hire(2).await;
    let mut kills = 0;
    for turn in 0..stage.scale.kills {
        let at = format!("{point}:{}", stage.rng.u32(1..=PASSES));
        let mut api = stage.cast.an_api(&["--crash-at", &at]).await;
        if turn == 0 {
            stage.cast.open_fleet(stage.scale.over);
        }
        kills += usize::from(wait_for_crash(&mut api).await?.is_some());
    }
    stage.cast.open_api().await;
    Ok(kills)
}

/// API after API is killed at some moment.
pub(crate) async fn killed_at_random(stage: &mut Stage) -> anyhow::Result<usize> {
    stage.cast.hire(2).await;
    let mut api = stage.cast.an_api(&[]).await;
    stage.cast.open_fleet(stage.scale.over);
    for _ in 0..stage.scale.random_kills {
        sleep(stage.some_ms(50, 500)).await;
        kill(&mut api).await?;
        api = stage.cast.an_api(&[]).await;
    }
    stage.cast.keep_api(api);
    Ok(stage.scale.random_kills)
}
