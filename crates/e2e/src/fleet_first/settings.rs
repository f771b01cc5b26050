//! The settings of `fleet-first`.

use clap::Parser;
use jiff::SignedDuration;
use pisync_core::settings::LogSettings;

use super::Story;

/// Lets a fifth of a fleet fail for some hours of a simulated clock, and shows what people were
/// told; the servers to use are in the environment, see `scripts/fleet-first`
#[derive(Debug, Clone, Parser)]
#[command(name = "fleet-first", version)]
pub struct Settings {
    /// Devices of the fleet
    #[arg(long, default_value_t = 100_000, value_parser = clap::value_parser!(u32).range(1_000..=1_000_000))]
    pub devices: u32,
    /// All report within the first minute of the hour, and not spread over it
    #[arg(long)]
    pub herd: bool,
    /// Minutes of the simulated clock between two looks of the alerter
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(i64).range(1..=5))]
    pub step: i64,
    /// Where the log goes.
    #[command(flatten)]
    pub log: LogSettings,
}

impl Settings {
    pub(super) fn story(&self) -> Story {
        Story { step: SignedDuration::from_mins(self.step), ..Story::of(self.devices, self.herd) }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn a_fifth_of_the_fleet_fails() {
        Settings::command().debug_assert();
        let story = Settings::try_parse_from(["fleet-first"]).unwrap().story();
        assert_eq!((story.devices, story.failing()), (100_000, 20_000));
    }
}
