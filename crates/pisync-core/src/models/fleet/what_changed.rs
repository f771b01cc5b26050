//! The properties that failing devices share: label values and speeds that fail more often than the rest.

use std::fmt;

/// The parts that stand out among the devices that reported in a window of time, each by its newest report.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct WhatChanged {
    /// All devices.
    pub all: Share,
    /// The number of label values compared.
    pub compared: usize,
    /// Devices with a value that was not compared, since there are too many values.
    pub left_out: u64,
    /// The parts that fail more often than the rest, the surest first.
    pub contrasts: Vec<Contrast>,
}

/// A part of the fleet that fails more often than the rest.
#[derive(Debug, Clone, PartialEq)]
pub struct Contrast {
    /// The common property of its devices.
    pub mark: Mark,
    /// The devices with it.
    pub with: Share,
    /// All other devices.
    pub rest: Share,
    /// The least difference of the failing shares, 0 to 1: the difference less the margin of chance.
    pub at_least: f64,
}

/// A property that devices can share.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Mark {
    /// A label with a value.
    Label {
        /// Its name.
        name: String,
        /// Its value.
        value: String,
    },
    /// The speed of their newest sync.
    Speed(SpeedBand),
}

/// A number of devices, and the failing ones among them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Share {
    /// The failing devices.
    pub failing: u64,
    /// All devices.
    pub devices: u64,
}

/// A range of speeds: few, so that each has many devices.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct SpeedBand(u8);

/// The fewest devices of a part, and of the rest, to be compared at all.
const FEWEST: u64 = 20;

/// The fewest failing devices of a part.
const FEWEST_FAILING: u64 = 10;

/// The least difference of failing shares for a part to stand out.
const STANDS_OUT: f64 = 0.05;

/// The most parts that are named.
const NAMED: usize = 10;

/// The number of standard deviations that a difference may have by chance. A thousand values are compared at once. With
/// 4, one of a thousand equal values seems to differ in 3 of 100 evaluations.
const DEVIATIONS: f64 = 4.0;

impl Share {
    /// Counts a device.
    pub fn count(&mut self, failed: bool) {
        self.devices += 1;
        self.failing += u64::from(failed);
    }

    /// Returns the failing share, 0 to 1; 0 of none.
    #[expect(clippy::cast_precision_loss, reason = "counts are below 2^53")]
    pub fn failing_share(self) -> f64 {
        self.failing as f64 / self.devices.max(1) as f64
    }

    /// Returns the whole without this part.
    fn rest_of(self, whole: Self) -> Self {
        Self {
            failing: whole.failing.saturating_sub(self.failing),
            devices: whole.devices.saturating_sub(self.devices),
        }
    }

    /// Returns the bounds of the true share. Source: E. B. Wilson, "Probable inference, the law of succession, and
    /// statistical inference", 1927.
    #[expect(clippy::cast_precision_loss, reason = "counts are below 2^53")]
    fn interval(self, deviations: f64) -> [f64; 2] {
        let (share, count, square) = (self.failing_share(), self.devices as f64, deviations * deviations);
        let middle = share + square / (2.0 * count);
        let reach = deviations * (share * (1.0 - share) / count + square / (4.0 * count * count)).sqrt();
        [(middle - reach) / (1.0 + square / count), (middle + reach) / (1.0 + square / count)]
    }
}

/// Returns the least difference between the failing shares of `part` and `rest`: the lower end of Newcombe's interval
/// for the difference of two proportions. So a part of two devices that both fail does not come before one of
/// thousands. Source: R. G. Newcombe, "Interval estimation for the difference between independent proportions",
/// Statistics in Medicine 17, 1998, method 10.
fn at_least(part: Share, rest: Share, deviations: f64) -> f64 {
    let ([lowest, _], [_, highest]) = (part.interval(deviations), rest.interval(deviations));
    let (share, other) = (part.failing_share(), rest.failing_share());
    share - other - (share - lowest).hypot(highest - other)
}

/// Returns the parts that stand out of a whole, the surest first.
pub(super) fn rank(whole: Share, parts: impl IntoIterator<Item = (Mark, Share)>) -> Vec<Contrast> {
    let contrast = |(mark, with): (Mark, Share)| {
        let rest = with.rest_of(whole);
        let is_enough = with.devices >= FEWEST && rest.devices >= FEWEST && with.failing >= FEWEST_FAILING;
        let at_least = if is_enough { at_least(with, rest, DEVIATIONS) } else { 0.0 };
        (at_least >= STANDS_OUT).then_some(Contrast { mark, with, rest, at_least })
    };
    let mut contrasts: Vec<_> = parts.into_iter().filter_map(contrast).collect();
    contrasts.sort_by(|one, other| other.at_least.total_cmp(&one.at_least).then_with(|| one.mark.cmp(&other.mark)));
    contrasts.truncate(NAMED);
    contrasts
}

impl SpeedBand {
    /// The lower bounds of the bands, in Mbps, but for the first: no speed was measured.
    const FROM: [f64; 6] = [0.0, 0.5, 1.0, 4.0, 10.0, 40.0];

    /// The number of bands.
    pub const COUNT: usize = 1 + Self::FROM.len();

    /// Returns the band of a speed; 0 means not measured.
    pub fn of(speed: f64) -> Self {
        let band = if speed > 0.0 { Self::FROM.partition_point(|from| *from <= speed) } else { 0 };
        Self(u8::try_from(band).unwrap_or(u8::MAX))
    }

    /// Returns all bands, in order.
    pub fn all() -> impl Iterator<Item = Self> {
        (0..u8::MAX).take(Self::COUNT).map(Self)
    }

    /// Returns its place among all.
    pub fn place(self) -> usize {
        self.0.into()
    }

    /// Returns its bounds, in Mbps; none without a measured speed. The last band has no upper bound.
    pub fn range(self) -> Option<(f64, Option<f64>)> {
        let at = self.place().checked_sub(1)?;
        Some((*Self::FROM.get(at)?, Self::FROM.get(at + 1).copied()))
    }
}

impl fmt::Display for SpeedBand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.range() {
            None => f.write_str("no speed measured"),
            Some((0.0, Some(to))) => write!(f, "speed below {to} Mbps"),
            Some((from, Some(to))) => write!(f, "speed {from} to {to} Mbps"),
            Some((from, None)) => write!(f, "speed {from} Mbps and more"),
        }
    }
}

impl fmt::Display for Mark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Label { name, value } => write!(f, "{name}={value}"),
            Self::Speed(band) => band.fmt(f),
        }
    }
}

/// Writes as in `91 %`; below 10 with one more digit.
impl fmt::Display for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let percent = 100.0 * self.failing_share();
        let text = format!("{percent:.*}", usize::from(percent < 9.95));
        write!(f, "{} %", text.strip_suffix(".0").unwrap_or(&text))
    }
}

/// Writes as in `contentVersion=42: 91 % failing against 2 % elsewhere (4550 of 5000 against 1900 of 95000)`.
impl fmt::Display for Contrast {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { mark, with, rest, .. } = self;
        write!(f, "{mark}: {with} failing against {rest} elsewhere ")?;
        write!(f, "({} of {} against {} of {})", with.failing, with.devices, rest.failing, rest.devices)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn share(failing: u64, devices: u64) -> Share {
        Share { failing, devices }
    }

    fn label(value: &str) -> Mark {
        Mark::Label { name: "contentVersion".into(), value: value.into() }
    }

    fn named(whole: Share, parts: &[(&str, u64, u64)]) -> Vec<String> {
        let parts = parts.iter().map(|(value, failing, devices)| (label(value), share(*failing, *devices)));
        rank(whole, parts).iter().map(|contrast| contrast.mark.to_string()).collect()
    }

    #[test]
    fn a_part_that_fails_more_often_is_told_with_its_counts() {
        let contrasts =
            rank(share(6_450, 100_000), [(label("42"), share(4_550, 5_000)), (label("41"), share(1_900, 95_000))]);
        let told: Vec<_> = contrasts.iter().map(Contrast::to_string).collect();
        let expected = "contentVersion=42: 91 % failing against 2 % elsewhere (4550 of 5000 against 1900 of 95000)";
        assert_eq!(told, [expected]);
        assert!((0.86..0.89).contains(&contrasts[0].at_least), "{}", contrasts[0].at_least);
    }

    /// The first example of Newcombe's paper: 56 of 70 and 48 of 80.
    #[test]
    fn the_lower_end_is_that_of_the_paper_and_rises_with_the_number_of_devices() {
        let end = at_least(share(56, 70), share(48, 80), 1.96);
        assert!((end - 0.0524).abs() < 0.00005, "{end}");
        let ends = [1, 10, 100, 1_000].map(|by| at_least(share(56 * by, 70 * by), share(48 * by, 80 * by), DEVIATIONS));
        assert!(ends.windows(2).all(|pair| pair[0] < pair[1]) && ends[0] < end && ends[3] < 0.2, "{ends:?}");
    }

    #[test]
    fn few_devices_do_not_come_before_many() {
        let whole = share(6_000, 100_000);
        assert_eq!(named(whole, &[("two", 2, 2), ("many", 4_000, 5_000)]), ["contentVersion=many"]);
        assert_eq!(
            named(whole, &[("25", 25, 25), ("many", 4_500, 5_000)]),
            ["contentVersion=many", "contentVersion=25"]
        );
    }

    #[test]
    fn what_is_alike_or_better_or_has_nothing_beside_it_does_not_stand_out() {
        let whole = share(6_000, 100_000);
        assert_eq!(
            named(whole, &[("alike", 600, 10_000), ("better", 10, 20_000), ("a little", 3_300, 50_000)]),
            [""; 0]
        );
        assert_eq!(named(whole, &[("all", 6_000, 100_000), ("nearly", 5_990, 99_990)]), [""; 0]);
        assert_eq!(named(share(0, 0), &[("none", 0, 0)]), [""; 0]);
    }

    #[test]
    fn by_chance_alone_nothing_stands_out() {
        let mut random = fastrand::Rng::with_seed(7);
        let mut parts = vec![Share::default(); 1_000];
        let mut whole = Share::default();
        for device in 0..100_000 {
            let failed = random.u8(0..10) == 0;
            parts[device % 1_000].count(failed);
            whole.count(failed);
        }
        let parts = parts.into_iter().enumerate().map(|(at, part)| (label(&at.to_string()), part));
        assert_eq!(rank(whole, parts), []);
    }

    #[test]
    fn speeds_are_in_bands_and_none_is_one() {
        let bands = [0.0, 0.1, 0.49, 0.5, 3.9, 4.0, 39.0, 40.0, 1e6].map(|speed| SpeedBand::of(speed).place());
        assert_eq!(bands, [0, 1, 1, 2, 3, 4, 5, 6, 6]);
        let words: Vec<_> = SpeedBand::all().map(|band| band.to_string()).collect();
        assert_eq!(words.len(), SpeedBand::COUNT);
        assert_eq!(
            [&words[0], &words[1], &words[2], &words[6]],
            ["no speed measured", "speed below 0.5 Mbps", "speed 0.5 to 1 Mbps", "speed 40 Mbps and more",]
        );
    }

    #[test]
    fn percents_are_as_exact_as_they_are_small() {
        let said = [(4_550, 5_000), (1, 1_000), (23, 1_000), (0, 9), (995, 10_000), (9, 9), (96, 1_000)];
        let said = said.map(|(failing, devices)| share(failing, devices).to_string());
        assert_eq!(said, ["91 %", "0.1 %", "2.3 %", "0 %", "10 %", "100 %", "9.6 %"]);
    }
}
