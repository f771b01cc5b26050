//! The settings of `fleet-first`.

use clap::{Parser, ValueEnum};
use jiff::SignedDuration;
use pisync_core::settings::LogSettings;

use super::ContentRelease;

/// Plays a scenario of a fleet on a simulated clock and prints the messages that people would get; the servers are in
/// the environment, see `scripts/fleet-first`
#[derive(Debug, Clone, Parser)]
#[command(name = "fleet-first", version)]
pub struct Settings {
    /// Scenario to play
    #[arg(value_enum, default_value = "content-release")]
    pub scenario: StoryName,
    /// Devices of the fleet [default: the number that the scenario was made for]
    #[arg(long, value_parser = clap::value_parser!(u32).range(1_000..=1_000_000))]
    pub devices: Option<u32>,
    /// In content-release: all devices report within the first minute of the hour, instead of over the hour
    #[arg(long)]
    pub herd: bool,
    /// In content-release: minutes of the simulated clock between two ticks of the alerter
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(i64).range(1..=5))]
    pub step: i64,
    /// The format and level of the log.
    #[command(flatten)]
    pub log: LogSettings,
}

impl AsRef<LogSettings> for Settings {
    fn as_ref(&self) -> &LogSettings {
        &self.log
    }
}

/// The scenarios, with their expected messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum StoryName {
    /// A fifth of the fleet fails on content for three hours: one message, its end, one digest
    ContentRelease,
    /// A twentieth of the fleet is silent for 30 hours: one message, and its end
    IspOutage,
    /// The servers are down for six hours: no message
    OwnOutage,
    /// Devices send 72 kept failed syncs and a good one, in random order: no message
    Backfill,
    /// Devices send their kept failed syncs in order: no message
    BackfillInOrder,
    /// Devices with a clock five hours behind send their kept failed syncs in order: no message
    BackfillBehind,
    /// A device in ten has a clock five hours behind, and five of these fail: one message each, which names the lag
    ConstantLag,
    /// The clocks of all devices are five hours behind, and a fifth fails: one message, which names the lag
    FleetBehind,
    /// One device in a hundred fails every other sync for two days: one message each
    Flapping,
    /// One device in a hundred fails every two minutes for an hour and recovers two seconds later: one message each
    FlappingWithinTheHour,
    /// A tenth of the fleet fails and no alerter runs: page, `/readyz` and metrics say so, until one runs, and again
    /// after it ends
    NobodyAlerts,
    /// A device in ten has a clock of 1970: its reports are stored and flagged, and only failing devices lead to
    /// messages
    #[value(name = "clock-1970")]
    Clock1970,
    /// All devices report in the same minute by cron, and then at the server's times: no message, and at most 3 % of
    /// them in the busiest minute
    TopOfHour,
    /// Two weeks of schools that are on from 8 to 16 o'clock, with a region that is out and a device that dies: one
    /// message each, and the end of the first
    Schools,
    /// The first two days of it without the hours of the schools in the config. A control: each night is a false alarm
    SchoolsWithoutHours,
    /// Measures a tick that looks for silent devices, with a thousandth of the devices silent
    SilentLooks,
    /// Measures a tick that groups silent devices by labels, and the read of recent changes
    PartLooks,
}

impl StoryName {
    fn devices(self) -> u32 {
        match self {
            Self::ContentRelease | Self::IspOutage | Self::OwnOutage | Self::PartLooks | Self::Schools => 100_000,
            Self::Backfill => 10_000,
            Self::Clock1970
            | Self::BackfillInOrder
            | Self::BackfillBehind
            | Self::ConstantLag
            | Self::FleetBehind
            | Self::SchoolsWithoutHours => 2_000,
            Self::TopOfHour => 20_000,
            Self::Flapping | Self::FlappingWithinTheHour | Self::NobodyAlerts => 1_000,
            Self::SilentLooks => 1_000_000,
        }
    }
}

impl Settings {
    /// Returns the number of devices of the fleet.
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
