//! Fleet first: what happens to a fleet, hour by hour on a clock of its own, and what people are
//! told of it.
//!
//! Only the clock is simulated: reports go through the queue and a worker into the store, and a
//! real alerter looks at them at the times of the story and writes to its alert log.

mod behind;
mod clocks;
mod messages;
mod nobody;
mod parts;
mod scenarios;
mod settings;
mod silence;
mod stage;
mod story;
mod table;

pub use messages::{counted, told};
pub use settings::{Scenario, Settings};
pub use stage::Stage;
pub use story::{Story, Told, content_release, push};

use crate::env::TestEnv;

/// Tells the story that the settings name; whether people were told what they should.
pub async fn run(settings: &Settings) -> anyhow::Result<bool> {
    let (env, devices) = (TestEnv::new(), settings.devices());
    let is_right = match settings.scenario {
        Scenario::ContentRelease => {
            let story = settings.story();
            let told = content_release(&env, &story).await?;
            table::print(&story, &told);
            told.is_right(&story)
        }
        Scenario::IspOutage => scenarios::isp_outage(&env, devices).await?,
        Scenario::OwnOutage => scenarios::own_outage(&env, devices).await?,
        Scenario::Backfill => scenarios::backfill(&env, devices).await?,
        Scenario::BackfillInOrder => behind::in_order(&env, devices).await?,
        Scenario::BackfillBehind => behind::backfill(&env, devices).await?,
        Scenario::ConstantLag => behind::constant_lag(&env, devices).await?,
        Scenario::FleetBehind => behind::whole_fleet(&env, devices).await?,
        Scenario::Flapping => scenarios::flapping(&env, devices).await?,
        Scenario::FlappingWithinTheHour => scenarios::flapping_within_the_hour(&env, devices).await?,
        Scenario::NobodyAlerts => nobody::nobody_alerts(&env, devices).await?,
        Scenario::Clock1970 => clocks::clock_1970(&env, devices).await?,
        Scenario::TopOfHour => clocks::top_of_hour(&env, devices).await?,
        Scenario::SilentLooks => silence::measure(&env, devices).await?,
        Scenario::PartLooks => parts::measure(&env, devices).await?,
    };
    env.finish().await;
    Ok(is_right)
}
