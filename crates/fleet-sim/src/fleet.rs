//! The reports of a simulated fleet, all derived from the seed.

use std::collections::BTreeMap;

use fastrand::Rng;
use jiff::{SignedDuration, Timestamp};
use pisync_core::{
    models::{InvalidEvent, SyncEvent},
    time::{in_millis, rfc3339},
};
use serde::Serialize;

use crate::{
    config::FleetSettings,
    labels::{BadLabel, LabelChoice},
};

/// The probability that a device has the same result as in the round before. Failures of a real device come in runs,
/// and without runs no alert would fire.
const LINGERING: f64 = 0.5;

/// The share of failed syncs of a device with the bad label.
const BAD_RATE: f64 = 0.9;

/// The time over which the reports of one round are spread, in milliseconds.
const ROUND_SPREAD: i64 = 60_000;

/// A fleet: the report of device `d` in round `r` is always the same, in any order of calls.
#[derive(Debug, Clone, PartialEq)]
pub struct Fleet {
    recipe: Recipe,
    devices: u32,
    rounds: u32,
    failure_rate: f64,
    labels: Vec<LabelChoice>,
    bad_label: Option<BadLabel>,
    resend_rate: f64,
    shuffle: bool,
}

/// The settings by which another run sends the same bodies.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Recipe {
    /// The seed of the random choices.
    pub seed: u64,
    /// The prefix of the device ids.
    pub device_prefix: String,
    /// The time of the first round.
    pub start: Timestamp,
}

/// One report of one device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// The JSON to post.
    pub body: String,
    /// True if the device sends it once more after it was accepted.
    pub again: bool,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Body<'a> {
    device_id: String,
    timestamp: String,
    total_files_synced: u32,
    total_errors: u32,
    internet_speed: f64,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    labels: BTreeMap<&'a str, &'a str>,
}

impl Fleet {
    /// Returns the fleet of these settings. Its last round is at `now` unless they have a start.
    pub fn new(settings: &FleetSettings, now: Timestamp) -> Self {
        let seed = settings.seed.unwrap_or_else(|| fastrand::u32(..).into());
        let start = settings.start.unwrap_or_else(|| {
            now.checked_sub(SignedDuration::from_hours(i64::from(settings.rounds) - 1)).unwrap_or(now)
        });
        let start = in_millis(start);
        let device_prefix = settings.device_prefix.clone().unwrap_or_else(|| format!("sim-{}", run_id(seed, start)));
        Self {
            recipe: Recipe { seed, device_prefix, start },
            devices: settings.devices,
            rounds: settings.rounds,
            failure_rate: settings.failure_rate,
            labels: settings.labels.clone(),
            bad_label: settings.bad_label.clone(),
            resend_rate: settings.resend_rate,
            shuffle: settings.shuffle,
        }
    }

    /// Returns the settings by which another run sends the same bodies.
    pub fn recipe(&self) -> &Recipe {
        &self.recipe
    }

    /// Returns the number of devices.
    pub fn devices(&self) -> u32 {
        self.devices
    }

    /// Returns the number of reports of each device.
    pub fn rounds(&self) -> u32 {
        self.rounds
    }

    /// Returns the report of `device` at its `turn`, both from 0. It is the report of that round, or of another one
    /// in a fleet that shuffles. Over all turns, each round comes once.
    pub fn report(&self, device: u32, turn: u32) -> Report {
        let round = if self.shuffle { self.shuffled(device, turn) } else { turn };
        let mut rng = self.rng(device, round);
        let again = rng.f64() < self.resend_rate;
        let failed = self.fails(device, round);
        let body = Body {
            device_id: format!("{}-{device:06}", self.recipe.device_prefix),
            timestamp: rfc3339(self.time(device, round)),
            total_files_synced: rng.u32(0..60),
            total_errors: if failed { rng.u32(1..10) } else { 0 },
            internet_speed: speed(&mut rng, failed),
            labels: self.labels(device).into_iter().collect(),
        };
        // A struct of strings and finite numbers always serializes.
        Report { body: serde_json::to_string(&body).unwrap_or_default(), again }
    }

    /// Returns the event of that report, received now.
    pub fn event(&self, device: u32, turn: u32) -> Result<SyncEvent, InvalidEvent> {
        SyncEvent::from_json(self.report(device, turn).body.as_bytes(), Timestamp::now())
    }

    /// Returns true if the sync fails. A device that lingers has the result of the round before. So failures come in
    /// runs while their share over time is the failure rate.
    fn fails(&self, device: u32, round: u32) -> bool {
        let mut rng = self.rng(device, round).fork();
        let lingers = rng.f64() < LINGERING;
        if lingers && round > 0 { self.fails(device, round - 1) } else { rng.f64() < self.failure_rate(device) }
    }

    fn failure_rate(&self, device: u32) -> f64 {
        let is_bad = self.bad_label.as_ref().is_some_and(|bad| bad.is_in(&self.labels(device)));
        if is_bad { BAD_RATE } else { self.failure_rate }
    }

    /// Returns the labels of a device, the same in all its rounds.
    fn labels(&self, device: u32) -> Vec<(&str, &str)> {
        let labels = (0..).zip(&self.labels).map(|(index, label)| {
            let at = self.rng(device, u32::MAX - 1 - index).usize(..label.values.len());
            (label.name.as_str(), label.values[at].as_str())
        });
        labels.collect()
    }

    fn time(&self, device: u32, round: u32) -> Timestamp {
        let before = ROUND_SPREAD * i64::from(device) / i64::from(self.devices);
        let since_start = SignedDuration::from_hours(round.into()) - SignedDuration::from_millis(before);
        self.recipe.start.checked_add(since_start).unwrap_or(Timestamp::MAX)
    }

    fn shuffled(&self, device: u32, turn: u32) -> u32 {
        let mut rounds: Vec<_> = (0..self.rounds).collect();
        self.rng(device, u32::MAX).shuffle(&mut rounds);
        rounds.get(turn as usize).copied().unwrap_or(turn)
    }

    /// Returns the source of random choices of one device in one round.
    fn rng(&self, device: u32, round: u32) -> Rng {
        let place = u64::from(device) << 32 | u64::from(round);
        Rng::with_seed(mix(self.recipe.seed, place))
    }
}

/// Returns the speed in Mbps. Half of the failures have a poor connection, and half a good one.
fn speed(rng: &mut Rng, failed: bool) -> f64 {
    let (least, most) = if failed && rng.bool() { (0.02, 0.5) } else { (0.5, 100.0) };
    rng.f64().mul_add(most - least, least)
}

/// Returns the id of a run. Another start is another run, with devices of its own.
fn run_id(seed: u64, start: Timestamp) -> String {
    let mut rng = Rng::with_seed(mix(seed, start.as_millisecond().cast_unsigned()));
    (0..8).map(|_| rng.choice(b"0123456789abcdefghijkmnpqrstuvwxyz").map_or('0', |byte| char::from(*byte))).collect()
}

/// Returns a seed for a place under another seed; the odd factor is that of the golden ratio.
fn mix(seed: u64, place: u64) -> u64 {
    Rng::with_seed(seed ^ place.wrapping_mul(0x9e37_79b9_7f4a_7c15)).u64(..)
}

#[cfg(test)]
mod tests {
    use std::collections::{HashMap, HashSet};

    use pisync_core::models::SyncEvent;

    use super::*;

    const NOW: &str = "2026-11-23T12:00:00.123456Z";

    fn settings() -> FleetSettings {
        FleetSettings {
            devices: 200,
            rounds: 20,
            failure_rate: 0.2,
            labels: Vec::new(),
            bad_label: None,
            resend_rate: 0.3,
            shuffle: false,
            seed: Some(7),
            device_prefix: None,
            start: None,
        }
    }

    fn fleet(settings: &FleetSettings) -> Fleet {
        Fleet::new(settings, NOW.parse().unwrap())
    }

    fn reports(fleet: &Fleet) -> Vec<Report> {
        let turns = (0..fleet.rounds).flat_map(|turn| (0..fleet.devices).map(move |device| (device, turn)));
        turns.map(|(device, turn)| fleet.report(device, turn)).collect()
    }

    fn events(fleet: &Fleet) -> Vec<SyncEvent> {
        let parse = |report: Report| SyncEvent::from_json(report.body.as_bytes(), NOW.parse().unwrap()).unwrap();
        reports(fleet).into_iter().map(parse).collect()
    }

    fn share(part: usize, of: usize) -> f64 {
        f64::from(u32::try_from(part).unwrap()) / f64::from(u32::try_from(of).unwrap())
    }

    #[test]
    fn a_run_is_repeated_by_its_recipe() {
        let first = fleet(&settings());
        let Recipe { seed, device_prefix, start } = first.recipe().clone();
        let recipe =
            FleetSettings { seed: Some(seed), device_prefix: Some(device_prefix), start: Some(start), ..settings() };
        let again = Fleet::new(&recipe, "2027-01-01T00:00:00Z".parse().unwrap());
        assert_eq!(reports(&first), reports(&again));
        assert_ne!(reports(&first), reports(&fleet(&FleetSettings { seed: Some(8), ..settings() })));
    }

    #[test]
    fn the_same_seed_at_another_time_is_another_fleet() {
        let later = Fleet::new(&settings(), "2026-11-23T12:00:01Z".parse().unwrap());
        assert_ne!(later.recipe().device_prefix, fleet(&settings()).recipe().device_prefix);
    }

    #[test]
    fn each_device_reports_every_hour_until_now_and_is_believed() {
        let mut of_device: HashMap<_, Vec<_>> = HashMap::new();
        for event in events(&fleet(&settings())) {
            assert_eq!(event.time.device_timestamp, None);
            of_device.entry(event.device_id).or_default().push(event.time.timestamp);
        }
        assert_eq!(of_device.len(), 200);
        for times in of_device.values() {
            assert_eq!(times.len(), 20);
            assert!(times.windows(2).all(|pair| pair[1].duration_since(pair[0]) == SignedDuration::from_hours(1)));
        }
        assert_eq!(
            of_device.values().filter_map(|times| times.last()).max().unwrap().to_string(),
            "2026-11-23T12:00:00.123Z"
        );
    }

    #[test]
    fn failures_have_their_share_come_in_runs_and_have_both_causes() {
        let events = events(&fleet(&settings()));
        let failures: Vec<_> = events.iter().filter(|event| event.failed()).collect();
        let slow = failures.iter().filter(|event| event.internet_speed < 0.5).count();
        assert!((0.17..0.23).contains(&share(failures.len(), events.len())));
        assert!((0.4..0.6).contains(&share(slow, failures.len())));

        let failed: HashSet<_> = failures.iter().map(|event| (&event.device_id, event.time.timestamp)).collect();
        let next = |event: &SyncEvent| {
            let hour_later = event.time.timestamp + SignedDuration::from_hours(1);
            failed.contains(&(&event.device_id, hour_later))
        };
        let runs = failures.iter().filter(|event| next(event)).count();
        assert!(share(runs, failures.len()) > 0.4);
    }

    #[test]
    fn all_or_nothing_fails_when_asked_for() {
        for (failure_rate, all) in [(0.0, false), (1.0, true)] {
            let fleet = fleet(&FleetSettings { failure_rate, ..settings() });
            assert!(events(&fleet).iter().all(|event| event.failed() == all));
        }
    }

    #[test]
    fn labels_are_those_of_the_device_and_who_has_a_bad_one_fails() {
        let labels = ["contentVersion=41,42", "group=a,b,c"].map(|label| LabelChoice::parse(label).unwrap()).to_vec();
        let bad_label = Some(BadLabel::parse("contentVersion=42").unwrap());
        let events = events(&fleet(&FleetSettings { labels, bad_label, ..settings() }));
        let of_first: HashSet<_> = events.iter().step_by(200).map(|event| event.details.labels.clone()).collect();
        assert_eq!(of_first.len(), 1, "in each round the same");
        for (name, value, expected) in [("contentVersion", "42", 0.5), ("group", "a", 0.33)] {
            let with = events.iter().filter(|event| event.details.labels.get(name) == Some(value)).count();
            assert!((expected - 0.1..expected + 0.1).contains(&share(with, events.len())), "{name}={value}");
        }
        let failing = |value: &str| {
            let with: Vec<_> =
                events.iter().filter(|event| event.details.labels.get("contentVersion") == Some(value)).collect();
            share(with.iter().filter(|event| event.failed()).count(), with.len())
        };
        assert!(failing("42") > 0.8 && failing("41") < 0.3, "{} {}", failing("42"), failing("41"));
    }

    #[test]
    fn shuffled_rounds_are_the_same_reports_in_another_order() {
        let (plain, shuffled) = (fleet(&settings()), fleet(&FleetSettings { shuffle: true, ..settings() }));
        let (plain, shuffled) = (reports(&plain), reports(&shuffled));
        assert_ne!(plain, shuffled);
        let bodies = |reports: &[Report]| reports.iter().map(|report| report.body.clone()).collect::<HashSet<_>>();
        assert_eq!(bodies(&plain), bodies(&shuffled));
    }
}
