//! The counts of a fleet in a window of time, as a whole and by the values of some labels.

use std::{
    collections::{BTreeMap, HashMap},
    hash::{BuildHasher, RandomState},
};

use crate::models::{Cause, FleetPart, FleetWindow};

/// A window of the whole fleet, and the windows of its parts.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FleetWindows {
    /// All devices that reported.
    pub all: FleetWindow,
    /// Devices with each value of the labels.
    pub scopes: BTreeMap<FleetPart, FleetWindow>,
    /// Devices with a value that is not among these, since there are too many values.
    pub left_out: u64,
}

/// The most labels by which a fleet can be split.
const LABELS: usize = FleetWindows::MOST_LABELS;

/// The most values of one label.
const MOST_VALUES: usize = 100;

/// Builds the windows from reports in order of time.
#[derive(Debug)]
pub struct FleetWindowsFold<'a> {
    by: &'a [String],
    hasher: RandomState,
    newest: HashMap<u64, Newest>,
    numbers: [HashMap<Box<str>, u16>; LABELS],
}

/// The newest report of a device: the cause if it failed, and for each label the number of its value.
#[derive(Debug, Clone, Copy)]
struct Newest {
    failed: Option<Cause>,
    values: [Option<u16>; LABELS],
    is_left_out: bool,
    is_clock_off: bool,
}

impl FleetWindows {
    /// The most labels by which a fleet can be split.
    pub const MOST_LABELS: usize = 3;
}

impl<'a> FleetWindowsFold<'a> {
    /// Returns a fold by the values of these labels, of which the first three count.
    pub fn by(by: &'a [String]) -> Self {
        Self {
            by,
            hasher: RandomState::new(),
            newest: HashMap::new(),
            numbers: std::array::from_fn(|_| HashMap::new()),
        }
    }

    /// Adds a report, with its cause if it failed.
    pub fn add<'r>(
        &mut self,
        device_id: &str,
        failed: Option<Cause>,
        labels: impl Iterator<Item = (&'r str, &'r str)>,
    ) {
        let newest = self.newest(failed, labels);
        self.newest.insert(self.hasher.hash_one(device_id), newest);
    }

    /// Adds a report of a device with a wrong clock, which counts by its time of receipt.
    pub fn add_clock_off<'r>(
        &mut self,
        device_id: &str,
        failed: Option<Cause>,
        labels: impl Iterator<Item = (&'r str, &'r str)>,
    ) {
        let newest = Newest { is_clock_off: true, ..self.newest(failed, labels) };
        self.newest.insert(self.hasher.hash_one(device_id), newest);
    }

    /// Returns the number of devices.
    pub fn reporting(&self) -> u64 {
        self.newest.len() as u64
    }

    /// Returns whether a device has reported.
    pub fn has(&self, device_id: &str) -> bool {
        self.newest.contains_key(&self.hasher.hash_one(device_id))
    }

    fn newest<'r>(&mut self, failed: Option<Cause>, labels: impl Iterator<Item = (&'r str, &'r str)>) -> Newest {
        let mut newest = Newest { failed, values: [None; LABELS], is_left_out: false, is_clock_off: false };
        for (name, value) in labels {
            let Some(at) = self.by.iter().take(LABELS).position(|by| by == name) else { continue };
            newest.values[at] = number(&mut self.numbers[at], value);
            newest.is_left_out |= newest.values[at].is_none();
        }
        newest
    }

    /// Returns the windows of all reports so far.
    pub fn windows(&self) -> FleetWindows {
        let mut windows = FleetWindows::default();
        let mut parts: [Vec<FleetWindow>; LABELS] =
            std::array::from_fn(|at| vec![FleetWindow::default(); self.numbers[at].len()]);
        for newest in self.newest.values() {
            windows.all.count(newest.failed);
            windows.all.clock_off += u64::from(newest.is_clock_off);
            windows.left_out += u64::from(newest.is_left_out);
            for (part, number) in parts.iter_mut().zip(newest.values) {
                if let Some(window) = number.and_then(|number| part.get_mut(usize::from(number))) {
                    window.count(newest.failed);
                    window.clock_off += u64::from(newest.is_clock_off);
                }
            }
        }
        for ((label, numbers), part) in self.by.iter().zip(&self.numbers).zip(parts) {
            let scope = |value: &str| FleetPart { label: label.clone(), value: value.to_owned() };
            windows.scopes.extend(numbers.iter().map(|(value, number)| (scope(value), part[usize::from(*number)])));
        }
        windows
    }
}

/// Returns the number of a value; none if there are too many others already.
fn number(numbers: &mut HashMap<Box<str>, u16>, value: &str) -> Option<u16> {
    if let Some(number) = numbers.get(value) {
        return Some(*number);
    }
    let number = u16::try_from(numbers.len()).ok().filter(|_| numbers.len() < MOST_VALUES)?;
    numbers.insert(value.into(), number);
    Some(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_value_has_a_window_of_its_own_by_the_newest_report_of_each_device() {
        let by = ["region".to_owned(), "group".to_owned()];
        let mut fold = FleetWindowsFold::by(&by);
        let report =
            |fold: &mut FleetWindowsFold<'_>, device: &str, failed, labels: &[(&'static str, &'static str)]| {
                fold.add(device, failed, labels.iter().copied());
            };
        report(&mut fold, "a", Some(Cause::Content), &[("region", "nord"), ("group", "x")]);
        report(&mut fold, "a", None, &[("region", "nord"), ("group", "x")]);
        report(&mut fold, "b", Some(Cause::Content), &[("region", "nord"), ("version", "1")]);
        report(&mut fold, "c", Some(Cause::Unknown), &[("region", "sud")]);
        report(&mut fold, "d", None, &[]);
        let windows = fold.windows();
        let scope = |label: &str, value: &str| FleetPart { label: label.into(), value: value.into() };
        assert_eq!((windows.all.reporting, windows.all.failing(), windows.left_out), (4, 2, 0));
        let counts = |scope| windows.scopes.get(&scope).map(|window| (window.failing(), window.reporting));
        assert_eq!(counts(scope("region", "nord")), Some((1, 2)));
        assert_eq!(counts(scope("region", "sud")), Some((1, 1)));
        assert_eq!(counts(scope("group", "x")), Some((0, 1)));
        assert_eq!(windows.scopes.len(), 3, "{:?}", windows.scopes);
    }

    #[test]
    fn a_device_whose_clock_is_off_counts_in_the_whole_and_in_its_part() {
        let by = ["region".to_owned()];
        let mut fold = FleetWindowsFold::by(&by);
        fold.add("a", None, [("region", "nord")].into_iter());
        assert_eq!((fold.has("a"), fold.has("b"), fold.reporting()), (true, false, 1));
        fold.add_clock_off("b", Some(Cause::Content), [("region", "nord")].into_iter());
        let windows = fold.windows();
        let expected = FleetWindow { reporting: 2, content: 1, clock_off: 1, ..FleetWindow::default() };
        assert_eq!((windows.all, windows.scopes.into_values().next()), (expected, Some(expected)));
    }

    #[test]
    fn a_label_with_too_many_values_is_looked_at_by_the_first_of_them() {
        let by = ["serial".to_owned()];
        let mut fold = FleetWindowsFold::by(&by);
        for device in 0..150 {
            let name = device.to_string();
            fold.add(&name, None, std::iter::once(("serial", name.as_str())));
        }
        let windows = fold.windows();
        assert_eq!((windows.scopes.len(), windows.left_out, windows.all.reporting), (100, 50, 150));
    }
}
