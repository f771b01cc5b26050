//! What a fleet reported in a window of time.

use std::{
    collections::HashMap,
    hash::{BuildHasher, RandomState},
};

use super::Cause;

/// The devices that reported in a window, each by its newest report there.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct FleetWindow {
    /// All of them.
    pub reporting: u64,
    /// Those whose newest sync failed on a slow connection.
    pub connectivity: u64,
    /// Those whose newest sync failed on a good one.
    pub content: u64,
    /// Those whose newest sync failed without a measured speed.
    pub unknown: u64,
}

impl FleetWindow {
    /// The devices whose newest sync failed.
    pub fn failing(&self) -> u64 {
        self.connectivity + self.content + self.unknown
    }

    /// What most of the failing ones point to; of equals the first of content, connectivity,
    /// unknown.
    pub fn main_cause(&self) -> Cause {
        if self.content >= self.connectivity.max(self.unknown) {
            Cause::Content
        } else if self.connectivity >= self.unknown {
            Cause::Connectivity
        } else {
            Cause::Unknown
        }
    }
}

/// Makes a window of reports, which come in order of time. It keeps a few bytes of a device, and
/// not its name.
#[derive(Debug, Default)]
pub struct FleetWindowFold {
    hasher: RandomState,
    newest: HashMap<u64, Option<Cause>>,
}

impl FleetWindowFold {
    /// Adds a report, with what it points to where it failed.
    pub fn add(&mut self, device_id: &str, failed: Option<Cause>) {
        self.newest.insert(self.hasher.hash_one(device_id), failed);
    }

    /// What was reported.
    pub fn window(&self) -> FleetWindow {
        let mut window = FleetWindow::default();
        for newest in self.newest.values() {
            window.reporting += 1;
            match newest {
                None => {}
                Some(Cause::Connectivity) => window.connectivity += 1,
                Some(Cause::Content) => window.content += 1,
                Some(Cause::Unknown) => window.unknown += 1,
            }
        }
        window
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_counts_once_by_its_newest_report() {
        let mut fold = FleetWindowFold::default();
        for (device, failed) in [
            ("a", Some(Cause::Content)),
            ("b", None),
            ("a", None),
            ("b", Some(Cause::Content)),
            ("c", Some(Cause::Content)),
            ("c", Some(Cause::Connectivity)),
            ("d", Some(Cause::Unknown)),
        ] {
            fold.add(device, failed);
        }
        assert_eq!(fold.window(), FleetWindow { reporting: 4, connectivity: 1, content: 1, unknown: 1 });
    }

    #[test]
    fn the_main_cause_is_that_of_most() {
        for (connectivity, content, unknown, cause) in [
            (1, 2, 1, Cause::Content),
            (2, 1, 1, Cause::Connectivity),
            (1, 1, 2, Cause::Unknown),
            (2, 2, 2, Cause::Content),
            (2, 0, 2, Cause::Connectivity),
        ] {
            let window = FleetWindow { reporting: 9, connectivity, content, unknown };
            assert_eq!((window.main_cause(), window.failing()), (cause, connectivity + content + unknown));
        }
    }
}
