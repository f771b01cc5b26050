//! Fleet first: many devices fail at once, hour by hour on a clock of its own, and people are told
//! once.
//!
//! Only the clock is simulated: reports go through the queue and a worker into the store, and a
//! real alerter looks at them at the times of the story and writes to its alert log.

mod looker;
mod settings;
mod story;
mod table;

pub use looker::Looker;
pub use settings::Settings;
pub use story::{Story, Told, content_release, push};

use crate::env::TestEnv;

/// Tells the story at the size that the settings say; whether people were told what they should.
pub async fn run(settings: &Settings) -> anyhow::Result<bool> {
    let env = TestEnv::new();
    let story = settings.story();
    let told = content_release(&env, &story).await?;
    table::print(&story, &told);
    env.finish().await;
    Ok(told.is_right(&story))
}
