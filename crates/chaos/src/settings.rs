//! The settings of `chaos`, and the sizes of its rows.

use std::{num::NonZero, path::PathBuf, thread, time::Duration};

use clap::Parser;
use pisync_core::settings::LogSettings;

use crate::row::Row;

/// Kills processes and servers while a fleet sends, and counts lost, duplicated and miscounted events; the servers
/// are in the environment, see `scripts/chaos`
#[derive(Debug, Clone, Parser)]
#[command(name = "chaos", version)]
pub struct Settings {
    /// Smaller and fewer rows
    #[arg(long)]
    pub quick: bool,
    /// Only rows whose name contains this; may be given several times
    #[arg(long, value_name = "NAME")]
    pub only: Vec<String>,
    /// Rows of pipeline and alerters that run at a time [default: 1, quick two for each core]
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..))]
    pub jobs: Option<u16>,
    /// Seed of the random choices [default: random]
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
    /// Incidents in each row with alerters [default: 10000, quick 500]
    #[arg(long, value_parser = clap::value_parser!(u32).range(10..))]
    pub incidents: Option<u32>,
    /// Folder for the logs of failed rows
    #[arg(long, value_name = "FOLDER")]
    pub logs: Option<PathBuf>,
    /// The format and level of the log.
    #[command(flatten)]
    pub log: LogSettings,
}

impl AsRef<LogSettings> for Settings {
    fn as_ref(&self) -> &LogSettings {
        &self.log
    }
}

/// The size of a row.
#[derive(Debug, Clone)]
pub(crate) struct Scale {
    /// The number of devices of the fleet.
    pub(crate) devices: u32,
    /// The number of events of each device.
    pub(crate) rounds: u32,
    /// The time in which the fleet sends, unless it sends as fast as it can.
    pub(crate) over: Duration,
    /// The maximum number of events in a batch.
    pub(crate) batch: u32,
    /// The lease of a batch: time until another worker may claim it.
    pub(crate) lease: Duration,
    /// The number of faults in most rows.
    pub(crate) kills: usize,
    /// The number of kills at random times.
    pub(crate) random_kills: usize,
    /// The time that `MongoDB` is away.
    pub(crate) away: Duration,
    /// The memory of a full Redis beyond that of an empty one, in bytes.
    pub(crate) room: u64,
    /// The number of devices that begin to fail, in rows with alerters.
    pub(crate) incidents: usize,
    /// The number of kills of alerters.
    pub(crate) alerter_kills: usize,
    /// The lease of a group's messages: time until another alerter may claim them.
    pub(crate) alert_lease: Duration,
    /// The timeout of a row.
    pub(crate) limit: Duration,
}

impl Settings {
    /// Returns true if a row is to be played.
    pub(crate) fn wants<F, E>(&self, row: &Row<F, E>) -> bool {
        let is_named = self.only.iter().any(|only| row.name.contains(only.as_str()));
        is_named || (self.only.is_empty() && (row.quick || !self.quick))
    }

    /// Returns the number of rows that run at a time. Small rows mostly wait.
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
