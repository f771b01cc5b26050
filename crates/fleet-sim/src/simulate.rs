//! `fleet-sim run`: posts the reports of a fleet.

use std::{sync::Arc, time::Duration};

use jiff::Timestamp;
use serde::Serialize;

use crate::{
    config::{Pattern, RunSettings},
    fleet::{Fleet, Recipe, Report},
    report,
    stats::Figures,
    workers::{self, Job},
};

/// The default rate, in events per second.
const PACE: f64 = 500.0;

#[derive(Serialize)]
struct Closing<'a> {
    #[serde(flatten)]
    recipe: &'a Recipe,
    #[serde(flatten)]
    figures: &'a Figures,
}

/// Posts all reports of the fleet and prints the figures. Returns true if every one was accepted.
pub async fn run(settings: RunSettings) -> anyhow::Result<bool> {
    let fleet = Arc::new(Fleet::new(&settings.fleet, Timestamp::now()));
    let recipe = fleet.recipe();
    log::info!(
        seed = recipe.seed, device_prefix = recipe.device_prefix.as_str(), start:% = recipe.start;
        "sending"
    );
    let over = over(&settings, &fleet);
    let count = settings.posting.concurrency.min(fleet.devices());
    let workers = (0..count).map(|number| worker(Arc::clone(&fleet), number, count, over)).collect();
    let expected = u64::from(fleet.devices()) * u64::from(fleet.rounds());
    let driven = workers::drive(&settings.posting, workers, Some(expected)).await?;

    let mut rows = driven.figures.rows();
    let Recipe { seed, device_prefix, start } = recipe;
    rows.note(format!("the same bodies again: --seed {seed} --device-prefix '{device_prefix}' --start {start}"));
    report::print(settings.posting.json, &Closing { recipe, figures: &driven.figures }, rows)?;
    Ok(driven.figures.all_accepted() && !driven.stopped)
}

/// Returns the duration of the run, unless it goes as fast as it can.
fn over(settings: &RunSettings, fleet: &Fleet) -> Option<Duration> {
    let at_pace = || Duration::from_secs_f64(f64::from(fleet.devices()) * f64::from(fleet.rounds()) / PACE);
    (settings.pattern == Pattern::Spread).then(|| settings.over.unwrap_or_else(at_pace))
}

/// Returns the jobs of a worker: every `of`-th device of the fleet, round by round.
fn worker(
    fleet: Arc<Fleet>,
    number: u32,
    of: u32,
    over: Option<Duration>,
) -> impl Iterator<Item = anyhow::Result<Job>> + Send {
    let (devices, rounds) = (fleet.devices(), fleet.rounds());
    let step = usize::try_from(of).unwrap_or(usize::MAX);
    let turns = (0..rounds).flat_map(move |turn| (number..devices).step_by(step).map(move |device| (device, turn)));
    turns.map(move |(device, turn)| {
        let Report { body, again } = fleet.report(device, turn);
        let share = (f64::from(turn) + f64::from(device) / f64::from(devices)) / f64::from(rounds);
        Ok(Job { body, due: over.map(|over| over.mul_f64(share)), again, watch: None })
    })
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use clap::Parser;

    use super::*;
    use crate::config::{Command, Config};

    fn settings(line: &str) -> RunSettings {
        let args = ["fleet-sim", "run"].into_iter().chain(line.split_whitespace());
        let Command::Run(settings) = Config::try_parse_from(args).unwrap().command else { panic!() };
        settings
    }

    fn jobs(settings: &RunSettings, workers: u32) -> Vec<Vec<Job>> {
        let fleet = Arc::new(Fleet::new(&settings.fleet, Timestamp::now()));
        let over = over(settings, &fleet);
        (0..workers)
            .map(|number| worker(Arc::clone(&fleet), number, workers, over).map(Result::unwrap).collect())
            .collect()
    }

    #[test]
    fn the_workers_together_send_every_report_once() {
        let workers = jobs(&settings("--devices 11 --rounds 7"), 4);
        let bodies: HashSet<_> = workers.iter().flatten().map(|job| &job.body).collect();
        assert_eq!((bodies.len(), workers.iter().flatten().count()), (77, 77));
    }

    #[test]
    fn a_spread_run_is_even_and_a_burst_waits_for_nothing() {
        let workers = jobs(&settings("--devices 4 --rounds 5 --over 20s"), 2);
        let seconds =
            |worker: &[Job]| worker.iter().map(|job| job.due.unwrap().as_secs_f64().round()).collect::<Vec<_>>();
        assert_eq!(format!("{:?}", seconds(&workers[0])), "[0.0, 2.0, 4.0, 6.0, 8.0, 10.0, 12.0, 14.0, 16.0, 18.0]");
        assert!(seconds(&workers[1]).iter().zip(seconds(&workers[0])).all(|(second, first)| *second > first));
        let burst = jobs(&settings("--devices 4 --pattern burst"), 2);
        assert!(burst.iter().flatten().all(|job| job.due.is_none()));
    }

    #[test]
    fn by_default_a_fleet_sends_500_events_a_second() {
        let settings = settings("--devices 200 --rounds 5");
        let fleet = Fleet::new(&settings.fleet, Timestamp::now());
        assert_eq!(over(&settings, &fleet), Some(Duration::from_secs(2)));
    }
}
