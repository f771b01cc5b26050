//! What can be set of the rules.

use jiff::SignedDuration;
use pisync_core::models::{FleetWindows, check_name};
use toml::de::DeValue;

use super::{field, section::Section};
pub use crate::rules::Rules;
use crate::rules::verdict::Limits;

impl Rules {
    pub(super) fn read(section: &mut Section<'_>) -> Self {
        let mut rules = Self::default();
        set(section, "connectivity_floor_mbps", field::number, &mut rules.connectivity_floor_mbps);
        set(section, "fleet_by", labels, &mut rules.fleet_by);
        set(section, "report_interval", length, &mut rules.report_interval);
        set(section, "device_silent_after", length, &mut rules.device_silent_after);
        within(section, "fleet_sync_failing", |section| {
            let rule = &mut rules.fleet_sync_failing;
            limits(section, &mut rule.limits);
            set(section, "window", length, &mut rule.window);
            set(section, "heard_at_least", share, &mut rule.heard_at_least);
        });
        within(section, "fleet_silent", |section| {
            let rule = &mut rules.fleet_silent;
            limits(section, &mut rule.limits);
            set(section, "absent_after", length, &mut rule.absent_after);
            set(section, "expected_for", length, &mut rule.expected_for);
        });
        within(section, "device_flapping", |section| {
            let rule = &mut rules.device_flapping;
            set(section, "opens_above", share, &mut rule.opens_above);
            set(section, "closes_below", share, &mut rule.closes_below);
        });
        within(section, "pipeline_stalled", |section| {
            let rule = &mut rules.pipeline_stalled;
            set(section, "longest_wait", length, &mut rule.longest_wait);
            set(section, "longest_absence", length, &mut rule.longest_absence);
            set(section, "clears_after", length, &mut rule.clears_after);
        });
        rules
    }
}

fn limits(section: &mut Section<'_>, limits: &mut Limits) {
    set(section, "opens_at", share, &mut limits.opens_at);
    set(section, "at_least", count, &mut limits.at_least);
    set(section, "closes_below", share, &mut limits.closes_below);
}

fn within<'t>(section: &mut Section<'t>, key: &str, read: impl FnOnce(&mut Section<'t>)) {
    if let Some(mut inner) = section.section(key) {
        read(&mut inner);
        section.add(inner.finish());
    }
}

fn set<T>(section: &mut Section<'_>, key: &str, parse: impl FnOnce(&DeValue<'_>) -> Result<T, String>, value: &mut T) {
    if let Some(said) = section.take(key, parse) {
        *value = said;
    }
}

/// Names of labels that devices may have.
fn labels(value: &DeValue<'_>) -> Result<Vec<String>, String> {
    let labels = field::texts(value)?;
    let is_new = |at: usize| !labels[..at].contains(&labels[at]);
    let are_fit = labels.iter().all(|label| check_name(label).is_ok()) && (0..labels.len()).all(is_new);
    let expected = || format!("must be up to {} names of labels of devices, each once", FleetWindows::MOST_LABELS);
    (are_fit && labels.len() <= FleetWindows::MOST_LABELS).then_some(labels).ok_or_else(expected)
}

/// A length of time that is not nothing.
fn length(value: &DeValue<'_>) -> Result<SignedDuration, String> {
    let length = SignedDuration::try_from(field::duration(value)?).map_err(|error| error.to_string())?;
    let is_something = length > SignedDuration::ZERO && length <= SignedDuration::from_hours(24 * 366);
    is_something.then_some(length).ok_or_else(|| "must be longer than nothing and at most a year".to_owned())
}

fn share(value: &DeValue<'_>) -> Result<f64, String> {
    let share = field::number(value).ok().filter(|share| *share <= 1.0);
    share.ok_or_else(|| "must be a share, 0 to 1".to_owned())
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a whole number that is not negative")]
fn count(value: &DeValue<'_>) -> Result<u64, String> {
    let count = field::number(value).ok().filter(|count| count.fract() == 0.0 && *count < 1e12);
    count.map(|count| count as u64).ok_or_else(|| "must be a whole number, 0 or more".to_owned())
}
