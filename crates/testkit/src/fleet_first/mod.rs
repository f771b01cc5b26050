//! Fleet first: scenarios of a fleet on a simulated clock, and the notifications they lead to.
//!
//! Only the clock is simulated. Reports go through the queue and a worker into the store. A real alerter evaluates
//! them at the times of the scenario and writes to its alert log.

mod behind;
mod clocks;
mod content_release;
mod messages;
mod nobody;
mod parts;
mod scenarios;
mod schools;
mod settings;
mod silence;
mod story;
mod table;

pub use content_release::{ContentRelease, Notified, content_release};
pub use messages::{counted, told};
pub use settings::{Settings, StoryName};
pub use story::{Story, push};

use crate::test_env::TestEnv;

/// Plays the scenario of the settings. Returns true if the messages were the expected ones.
pub async fn run(settings: &Settings) -> anyhow::Result<bool> {
    let (env, devices) = (TestEnv::new(), settings.devices());
    let is_right = match settings.scenario {
        StoryName::ContentRelease => {
            let release = settings.content_release();
            let notified = content_release(&env, &release).await?;
            table::print(&release, &notified);
            notified.is_right(&release)
        }
        StoryName::IspOutage => scenarios::isp_outage(&env, devices).await?,
        StoryName::OwnOutage => scenarios::own_outage(&env, devices).await?,
        StoryName::Backfill => scenarios::backfill(&env, devices).await?,
        StoryName::BackfillInOrder => behind::in_order(&env, devices).await?,
        StoryName::BackfillBehind => behind::backfill(&env, devices).await?,
        StoryName::ConstantLag => behind::constant_lag(&env, devices).await?,
        StoryName::FleetBehind => behind::whole_fleet(&env, devices).await?,
        StoryName::Flapping => scenarios::flapping(&env, devices).await?,
        StoryName::FlappingWithinTheHour => scenarios::flapping_within_the_hour(&env, devices).await?,
        StoryName::NobodyAlerts => nobody::nobody_alerts(&env, devices).await?,
        StoryName::Clock1970 => clocks::clock_1970(&env, devices).await?,
        StoryName::TopOfHour => clocks::top_of_hour(&env, devices).await?,
        StoryName::Schools => schools::schools(&env, devices, true).await?,
        StoryName::SchoolsWithoutHours => schools::schools(&env, devices, false).await?,
        StoryName::SilentLooks => silence::measure(&env, devices).await?,
        StoryName::PartLooks => parts::measure(&env, devices).await?,
    };
    env.finish().await;
    Ok(is_right)
}
