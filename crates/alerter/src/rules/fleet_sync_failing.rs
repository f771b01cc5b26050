//! `FleetSyncFailing`: of the devices that reported in the last minutes, too many failed.

use std::ops::Range;

use jiff::{SignedDuration, Timestamp};
use pisync_core::models::{AHEAD, FleetWindow};

use super::verdict::Verdict;
use crate::routing::rules::FleetSyncFailing;

impl FleetSyncFailing {
    /// The window of a time. A believed clock may be a little ahead of ours.
    pub fn window_at(&self, now: Timestamp) -> Range<Timestamp> {
        let start = now.saturating_sub(self.window).unwrap_or(Timestamp::MIN);
        start..now.saturating_add(AHEAD).unwrap_or(Timestamp::MAX)
    }

    /// For how long it has to be well until it is over: two windows that have nothing in common.
    pub fn clears_after(&self) -> SignedDuration {
        self.window.saturating_mul(2)
    }

    /// The same of a part of which nobody reports while others do: its devices may only be late, or
    /// have another value of the label now.
    pub fn clears_unheard_after(&self, report_interval: SignedDuration) -> SignedDuration {
        self.clears_after().max(report_interval.saturating_mul(2))
    }

    /// Whether too many of the fleet fail; `fleet` is how many devices there are.
    ///
    /// Devices report by cron, all within a minute of the hour. The few that report at another
    /// time are no sample of the fleet (often they are those that try again because they failed),
    /// so a window that heard too few says nothing, and all stays as the last herd left it.
    pub fn judge(&self, is_open: bool, window: &FleetWindow, fleet: u64) -> Verdict {
        self.judge_part(is_open, window, window, fleet)
    }

    /// The same of a part of the fleet, whose window says something where that of the whole does. A
    /// part of which nobody reports fails no more.
    #[expect(clippy::cast_precision_loss, reason = "counts are below 2^53")]
    pub fn judge_part(&self, is_open: bool, part: &FleetWindow, whole: &FleetWindow, fleet: u64) -> Verdict {
        if (whole.reporting as f64) < self.heard_at_least * fleet as f64 {
            return Verdict::Unknown;
        }
        if is_open && part.reporting == 0 && whole.reporting > 0 {
            return Verdict::Well;
        }
        self.limits().judge(is_open, part.failing(), part.reporting)
    }
}

#[cfg(test)]
mod tests {
    use super::{Verdict::*, *};

    fn judge(is_open: bool, failing: u64, reporting: u64) -> Verdict {
        let window = FleetWindow { reporting, content: failing, ..FleetWindow::default() };
        FleetSyncFailing::default().judge(is_open, &window, 100_000)
    }

    #[test]
    fn a_window_that_heard_too_few_says_nothing() {
        for (is_open, failing, reporting, verdict) in [
            // The herd at the hour, then the few between.
            (false, 20_000, 100_000, Wrong),
            (true, 60, 60, Unknown),
            (false, 60, 60, Unknown),
            (true, 0, 0, Unknown),
            (true, 0, 999, Unknown),
            (true, 0, 1_000, Well),
            // Spread over the hour: a quarter of them in a window.
            (false, 1_249, 25_000, Well),
            (false, 1_250, 25_000, Wrong),
            (true, 625, 25_000, Wrong),
            (true, 624, 25_000, Well),
        ] {
            assert_eq!(judge(is_open, failing, reporting), verdict, "{is_open} {failing} of {reporting}");
        }
    }

    #[test]
    fn a_part_is_judged_by_its_own_devices_where_the_whole_says_something() {
        let window = |failing, reporting| FleetWindow { reporting, content: failing, ..FleetWindow::default() };
        let judge = |part, whole| FleetSyncFailing::default().judge_part(false, &part, &whole, 100_000);
        assert_eq!(judge(window(60, 100), window(60, 25_000)), Wrong);
        assert_eq!(judge(window(49, 100), window(49, 25_000)), Well);
        assert_eq!(judge(window(60, 60), window(60, 60)), Unknown);
        assert_eq!(judge(window(0, 0), window(60, 25_000)), Unknown);
    }

    #[test]
    fn a_part_of_which_nobody_reports_any_more_is_over_after_two_reports() {
        let (rule, hour, nobody) = (FleetSyncFailing::default(), SignedDuration::from_hours(1), FleetWindow::default());
        let window = |reporting| FleetWindow { reporting, ..FleetWindow::default() };
        for (whole, verdict) in [(window(25_000), Well), (window(60), Unknown)] {
            assert_eq!(rule.judge_part(true, &nobody, &whole, 100_000), verdict);
        }
        assert_eq!(rule.judge_part(true, &nobody, &nobody, 0), Unknown, "of a fleet that is not there");
        assert_eq!(rule.clears_unheard_after(hour), SignedDuration::from_hours(2));
    }

    #[test]
    fn a_window_reaches_as_far_ahead_as_a_clock_is_believed() {
        let now: Timestamp = "2026-11-24T10:20:00Z".parse().unwrap();
        let window = FleetSyncFailing::default().window_at(now);
        assert_eq!(window.start.to_string(), "2026-11-24T10:05:00Z");
        assert_eq!(window.end.to_string(), "2026-11-24T10:25:00Z");
    }
}
