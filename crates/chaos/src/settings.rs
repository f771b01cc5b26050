//! The settings of `chaos`, and how large its rows are.

use std::{num::NonZero, path::PathBuf, thread, time::Duration};

use clap::Parser;
use pisync_core::settings::LogSettings;

use crate::row::Row;

/// Kills everything that can be killed while a fleet sends, and counts what was lost, duplicated
/// or miscounted; the servers to use are in the environment, see `scripts/chaos`
#[derive(Debug, Clone, Parser)]
#[command(name = "chaos", version)]
pub struct Settings {
    /// The same rows, smaller
    #[arg(long)]
    pub quick: bool,
    /// Only the rows with this in their name; may be given several times
    #[arg(long, value_name = "NAME")]
    pub only: Vec<String>,
    /// Rows of the pipeline and the alerters that are played at a time [default: 1, quick two for each core]
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..))]
    pub jobs: Option<u16>,
    /// What the random choices follow from [default: random]
    #[arg(long)]
    pub seed: Option<u64>,
    /// Print one line of JSON per row instead of the table
    #[arg(long)]
    pub json: bool,
    /// Events in each row, at the least [default: 20000, quick 2000]
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..))]
    pub events: Option<u32>,
    /// Devices in each row [default: 2000, quick 200]
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..))]
    pub devices: Option<u32>,
    /// Incidents in each row of the alerters [default: 10000, quick 500]
    #[arg(long, value_parser = clap::value_parser!(u32).range(10..))]
    pub incidents: Option<u32>,
    /// Folder to copy the logs of rows that failed to
    #[arg(long, value_name = "FOLDER")]
    pub logs: Option<PathBuf>,
    /// Where the log goes.
    #[command(flatten)]
    pub log: LogSettings,
}

impl AsRef<LogSettings> for Settings {
    fn as_ref(&self) -> &LogSettings {
        &self.log
    }
}

/// How large a row is.
#[derive(Debug, Clone)]
pub(crate) struct Scale {
    /// Devices of the fleet.
    pub(crate) devices: u32,
    /// Events of each device.
    pub(crate) rounds: u32,
    /// How long the fleet takes, where it does not send as fast as it can.
    pub(crate) over: Duration,
    /// Events in one batch at the most.
    pub(crate) batch: u32,
    /// How long a dead worker keeps its batch.
    pub(crate) lease: Duration,
    /// How often something is done to a process, in most rows.
    pub(crate) kills: usize,
    /// How often something is killed at a random time.
    pub(crate) random_kills: usize,
    /// How long `MongoDB` is away.
    pub(crate) away: Duration,
    /// What a full Redis may hold beyond what it needs when it is empty, in bytes.
    pub(crate) room: u64,
    /// Devices that begin to fail, in the rows of the alerters.
    pub(crate) incidents: usize,
    /// How often an alerter is killed.
    pub(crate) alerter_kills: usize,
    /// How long the messages of a group are left to an alerter that died.
    pub(crate) alert_lease: Duration,
    /// How long a row may take.
    pub(crate) limit: Duration,
}

impl Settings {
    /// Whether a row is to be played.
    pub(crate) fn wants<F, E>(&self, row: &Row<F, E>) -> bool {
        let is_named = self.only.iter().any(|only| row.name.contains(only.as_str()));
        is_named || (self.only.is_empty() && (row.quick || !self.quick))
    }

    /// How many rows are played at a time. Small rows mostly wait.
    pub(crate) fn jobs(&self) -> usize {
        let cores = thread::available_parallelism().map_or(1, NonZero::get);
        self.jobs.map_or(if self.quick { 2 * cores } else { 1 }, usize::from)
    }

    pub(crate) fn scale(&self) -> Scale {
        let mut scale = if self.quick { Scale::quick() } else { Scale::full() };
        let events = self.events.unwrap_or(scale.devices * scale.rounds);
        scale.devices = self.devices.unwrap_or(scale.devices);
        scale.rounds = events.div_ceil(scale.devices);
        scale.incidents = self.incidents.map_or(scale.incidents, |incidents| incidents as usize);
        scale
    }
}

impl Scale {
    fn full() -> Self {
        Self {
            devices: 2_000,
            rounds: 10,
            over: Duration::from_secs(30),
            batch: 50,
            lease: Duration::from_secs(5),
            kills: 6,
            random_kills: 20,
            away: Duration::from_secs(30),
            room: 2_000_000,
            incidents: 10_000,
            alerter_kills: 20,
            alert_lease: Duration::from_secs(5),
            limit: Duration::from_mins(5),
        }
    }

    fn quick() -> Self {
        Self {
            devices: 200,
            rounds: 10,
            over: Duration::from_secs(3),
            batch: 20,
            lease: Duration::from_secs(1),
            kills: 3,
            random_kills: 6,
            away: Duration::from_secs(5),
            room: 1_000_000,
            incidents: 500,
            alerter_kills: 3,
            alert_lease: Duration::from_secs(2),
            limit: Duration::from_mins(1),
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    fn scale(line: &str) -> Scale {
        Settings::try_parse_from(["chaos"].into_iter().chain(line.split_whitespace())).unwrap().scale()
    }

    #[test]
    fn both_forms_can_be_made_smaller() {
        Settings::command().debug_assert();
        let Scale { devices, rounds, .. } = scale("--quick --events 95 --devices 10");
        assert_eq!((devices, rounds), (10, 10));
        let Scale { devices, rounds, .. } = scale("");
        assert_eq!((devices, rounds), (2_000, 10));
    }
}
