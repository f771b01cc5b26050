//! Builds [`WhatChanged`] from the reports of a fleet, in bounded memory.

use std::{
    collections::HashMap,
    hash::{BuildHasher, RandomState},
};

use super::what_changed::{Mark, Share, SpeedBand, WhatChanged, rank};
use crate::models::Labels;

/// The most label values that are compared, of all names together.
const MOST_VALUES: usize = 1_000;

/// The most values of one name: a serial number must not keep out later labels.
const MOST_OF_NAME: usize = 200;

/// A fold of reports in order of time. It keeps some 40 bytes of a device, and not its id.
#[derive(Debug, Default)]
pub struct WhatChangedFold {
    hasher: RandomState,
    newest: HashMap<u64, Newest>,
    values: Values,
}

/// The newest report of a device.
#[derive(Debug, Clone, Copy)]
struct Newest {
    failed: bool,
    speed: SpeedBand,
    /// Whether it has a value that is not compared.
    is_left_out: bool,
    /// Places of its values, from 1; 0 is none.
    values: [u16; Labels::MOST],
}

/// The values of labels, each with a number from 1.
#[derive(Debug, Default)]
struct Values {
    numbers: HashMap<Box<str>, HashMap<Box<str>, u16>>,
    names: Vec<Mark>,
}

impl WhatChangedFold {
    /// Adds a report.
    pub fn add<'a>(
        &mut self,
        device_id: &str,
        failed: bool,
        internet_speed: f64,
        labels: impl Iterator<Item = (&'a str, &'a str)>,
    ) {
        let speed = SpeedBand::of(internet_speed);
        let mut newest = Newest { failed, speed, is_left_out: false, values: [0; Labels::MOST] };
        for (place, (name, value)) in newest.values.iter_mut().zip(labels) {
            match self.values.number(name, value) {
                Some(number) => *place = number,
                None => newest.is_left_out = true,
            }
        }
        self.newest.insert(self.hasher.hash_one(device_id), newest);
    }

    /// Returns the result of all reports so far.
    pub fn what_changed(self) -> WhatChanged {
        let (mut all, mut left_out) = (Share::default(), 0);
        let mut speeds = [Share::default(); SpeedBand::COUNT];
        let mut values = vec![Share::default(); self.values.names.len()];
        for newest in self.newest.values() {
            all.count(newest.failed);
            left_out += u64::from(newest.is_left_out);
            speeds[newest.speed.place()].count(newest.failed);
            for number in newest.values.iter().filter(|number| **number > 0) {
                values[usize::from(*number) - 1].count(newest.failed);
            }
        }
        let compared = values.len();
        let speeds = SpeedBand::all().map(Mark::Speed).zip(speeds);
        let contrasts = rank(all, self.values.names.into_iter().zip(values).chain(speeds));
        WhatChanged { all, compared, left_out, contrasts }
    }
}

impl Values {
    /// Returns the number of a value; none if there are too many others already.
    fn number(&mut self, name: &str, value: &str) -> Option<u16> {
        let of_name = self.numbers.get(name);
        if let Some(number) = of_name.and_then(|values| values.get(value)) {
            return Some(*number);
        }
        if self.names.len() == MOST_VALUES || of_name.is_some_and(|values| values.len() == MOST_OF_NAME) {
            return None;
        }
        self.names.push(Mark::Label { name: name.to_owned(), value: value.to_owned() });
        let number = u16::try_from(self.names.len()).ok()?;
        self.numbers.entry(name.into()).or_default().insert(value.into(), number);
        Some(number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fold(reports: impl Iterator<Item = (String, bool, f64, Vec<(&'static str, String)>)>) -> WhatChanged {
        let mut fold = WhatChangedFold::default();
        for (device, failed, speed, labels) in reports {
            fold.add(&device, failed, speed, labels.iter().map(|(name, value)| (*name, value.as_str())));
        }
        fold.what_changed()
    }

    #[test]
    fn a_device_counts_once_by_its_newest_report_and_the_labels_of_that() {
        let version = |value: &str| vec![("contentVersion", value.to_owned())];
        let before = (0..1_000).map(|device| (device.to_string(), false, 50.0, version("41")));
        let after = (0..100).map(|device| (device.to_string(), device < 90, 50.0, version("42")));
        let changed = fold(before.chain(after));
        assert_eq!((changed.all, changed.compared, changed.left_out), (Share { failing: 90, devices: 1_000 }, 2, 0));
        let told: Vec<_> = changed.contrasts.iter().map(ToString::to_string).collect();
        assert_eq!(told, ["contentVersion=42: 90 % failing against 0 % elsewhere (90 of 100 against 0 of 900)"]);
    }

    #[test]
    fn without_labels_speeds_are_compared() {
        let changed = fold(
            (0..1_000).map(|device| (device.to_string(), device < 60, if device < 60 { 0.2 } else { 50.0 }, vec![])),
        );
        assert_eq!(changed.contrasts.len(), 1, "{changed:?}");
        assert_eq!(changed.contrasts[0].mark.to_string(), "speed below 0.5 Mbps");
        let alike = fold((0..1_000).map(|device| (device.to_string(), device % 10 == 0, 50.0, vec![])));
        assert_eq!((alike.contrasts, alike.compared), (vec![], 0));
    }

    /// A serial number as a label fills only its own places, and further values are counted.
    #[test]
    fn a_label_with_a_value_for_each_device_keeps_no_other_out() {
        let labels = |device: usize| {
            let version = if device < 1_000 { "41" } else { "42" };
            vec![("serial", device.to_string()), ("contentVersion", version.to_owned())]
        };
        let changed = fold((0..2_000).map(|device| (device.to_string(), device >= 1_000, 50.0, labels(device))));
        assert_eq!((changed.compared, changed.left_out), (MOST_OF_NAME + 2, 2_000 - 200));
        assert_eq!(changed.contrasts[0].mark.to_string(), "contentVersion=42");
    }

    #[test]
    fn no_more_values_are_kept_than_there_is_room_for() {
        const NAMES: [&str; 8] = ["a", "b", "c", "d", "e", "f", "g", "h"];
        let labels = |device: usize| NAMES.map(|name| (name, device.to_string())).to_vec();
        let changed = fold((0..500).map(|device| (device.to_string(), false, 1.0, labels(device))));
        assert_eq!((changed.compared, changed.left_out), (MOST_VALUES, 375));
    }
}
