//! The settings of `fleet-first`.

use clap::{Parser, ValueEnum};
use jiff::SignedDuration;
use pisync_core::settings::LogSettings;

use super::ContentRelease;

/// Tells a story of a fleet on a simulated clock, and shows what people were told; the servers to
/// use are in the environment, see `scripts/fleet-first`
#[derive(Debug, Clone, Parser)]
#[command(name = "fleet-first", version)]
pub struct Settings {
    /// Which story
    #[arg(value_enum, default_value = "content-release")]
    pub scenario: StoryName,
    /// Devices of the fleet [default: as many as the story was thought of for]
    #[arg(long, value_parser = clap::value_parser!(u32).range(1_000..=1_000_000))]
    pub devices: Option<u32>,
    /// In content-release: all report within the first minute of the hour, and not spread over it
    #[arg(long)]
    pub herd: bool,
    /// In content-release: minutes of the simulated clock between two looks of the alerter
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(i64).range(1..=5))]
    pub step: i64,
    /// Where the log goes.
    #[command(flatten)]
    pub log: LogSettings,
}

impl AsRef<LogSettings> for Settings {
    fn as_ref(&self) -> &LogSettings {
        &self.log
    }
}

/// What happens, and what people are to be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum StoryName {
    /// A fifth of the fleet fails on content for three hours: one message, its end, one digest
    ContentRelease,
    /// A twentieth of the fleet is silent for 30 hours: one message, and its end
    IspOutage,
    /// We are away for six hours: nothing is said of anyone
    OwnOutage,
    /// Devices send 72 failed syncs and a good one that they kept, in any order: nothing is said
    Backfill,
    /// The same in the order in which it was kept: nothing is said
    BackfillInOrder,
    /// The same by devices whose clock is five hours behind: nothing is said
    BackfillBehind,
    /// A device in ten has a clock that is five hours behind, and five of these fail: one message each,
    /// which says so
    ConstantLag,
    /// The clocks of all devices are five hours behind, and a fifth fails: one message, which says so
    FleetBehind,
    /// One device in a hundred fails each other time, for two days: one message each
    Flapping,
    /// One device in a hundred fails every two minutes for an hour, and is well again two seconds later:
    /// one message each
    FlappingWithinTheHour,
    /// A tenth of the fleet fails, and no alerter runs: page, `/readyz` and metrics say that nobody is
    /// being alerted, until one runs, and again when it is gone
    NobodyAlerts,
    /// A device in ten has a clock of 1970: its reports are kept and flagged, and only those that
    /// fail are told
    #[value(name = "clock-1970")]
    Clock1970,
    /// All report in the same minute by cron, and then as the server tells them: nothing is said, and
    /// the busiest minute has 3 % of them at the most
    TopOfHour,
    /// Only what a look costs that asks who is silent, with a thousandth of the devices so
    SilentLooks,
    /// Only what a look costs that asks which part of the fleet each device is in, and what it costs to
    /// read what changed
    PartLooks,
}

impl StoryName {
    fn devices(self) -> u32 {
        match self {
            Self::ContentRelease | Self::IspOutage | Self::OwnOutage | Self::PartLooks => 100_000,
            Self::Backfill => 10_000,
            Self::Clock1970 | Self::BackfillInOrder | Self::BackfillBehind | Self::ConstantLag | Self::FleetBehind => {
                2_000
            }
            Self::TopOfHour => 20_000,
            Self::Flapping | Self::FlappingWithinTheHour | Self::NobodyAlerts => 1_000,
            Self::SilentLooks => 1_000_000,
        }
    }
}

impl Settings {
    /// How many devices the fleet has.
    pub(super) fn devices(&self) -> u32 {
        self.devices.unwrap_or(self.scenario.devices())
    }

    pub(super) fn content_release(&self) -> ContentRelease {
        let step = SignedDuration::from_mins(self.step);
        ContentRelease { step, pace: step, ..ContentRelease::of(self.devices(), self.herd) }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn a_fifth_of_the_fleet_fails() {
        Settings::command().debug_assert();
        let release = Settings::try_parse_from(["fleet-first"]).unwrap().content_release();
        assert_eq!((release.devices, release.failing()), (100_000, 20_000));
    }
}
