//! The counts of a fleet in a window of time.

use crate::models::Cause;

/// The devices that reported in a window, each by its newest report there.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct FleetWindow {
    /// All reporting devices.
    pub reporting: u64,
    /// Devices whose newest sync failed on a slow connection.
    pub connectivity: u64,
    /// Devices whose newest sync failed on a good connection.
    pub content: u64,
    /// Devices whose newest sync failed without a measured speed.
    pub unknown: u64,
    /// Reporting devices with a wrong clock, which count by their time of receipt.
    pub clock_off: u64,
}

impl FleetWindow {
    /// Counts a device, with the cause of its newest sync if that failed.
    pub fn count(&mut self, failed: Option<Cause>) {
        self.reporting += 1;
        match failed {
            None => {}
            Some(Cause::Connectivity) => self.connectivity += 1,
            Some(Cause::Content) => self.content += 1,
            Some(Cause::Unknown) => self.unknown += 1,
        }
    }

    /// Returns the number of devices whose newest sync failed.
    pub fn failing(&self) -> u64 {
        self.connectivity + self.content + self.unknown
    }

    /// Returns the most frequent cause of the failing devices; of equals the first of content, connectivity, unknown.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_main_cause_is_that_of_most() {
        for (connectivity, content, unknown, cause) in [
            (1, 2, 1, Cause::Content),
            (2, 1, 1, Cause::Connectivity),
            (1, 1, 2, Cause::Unknown),
            (2, 2, 2, Cause::Content),
            (2, 0, 2, Cause::Connectivity),
        ] {
            let window = FleetWindow { reporting: 9, connectivity, content, unknown, clock_off: 0 };
            assert_eq!((window.main_cause(), window.failing()), (cause, connectivity + content + unknown));
        }
    }
}
