//! `DeviceSilent`: nothing was received from a device for a day, by our clock.

use std::ops::Range;

use futures_util::{FutureExt, StreamExt, TryStreamExt, stream};
use jiff::{SignedDuration, Timestamp};
use pisync_core::models::{Alert, AlertName, DeviceId, Listening, Subject};

pub(super) use super::NoSettings as Settings;
use super::{About, Rule, Rules};
use crate::{
    evaluation::{Evaluation, Health},
    snapshot::{Candidates, PAGE, ReadError, Snapshot},
};

pub(super) const RULE: Rule = Rule {
    name: AlertName::DEVICE_SILENT,
    inhibited_by: &[AlertName::PIPELINE_STALLED, AlertName::FLEET_SILENT],
    about: About::Devices(|snapshot, rules| candidates(snapshot, rules).boxed()),
    evaluate: |snapshot, rules| evaluate(snapshot, rules).boxed(),
    message: r#"{% extends "base.txt" %}{% block headline %}
        {% if kind == "resolved" %}{{ who }} reports again{% if lasted %} after {{ lasted }}{% endif %}
        {% else %}{{ who }}: {{ "still " if kind == "repeat" }}silent since {{ starts_at }}{% endif %}
        {% endblock %}"#,
};

/// The time after falling silent in which a device may open an incident. Pages show devices that were silent
/// before, without an alert.
const RECENT: SignedDuration = SignedDuration::from_hours(2);

/// Returns the devices that fell silent recently. It is empty while no API is alive.
async fn candidates(snapshot: &Snapshot, rules: &Rules) -> Result<Candidates, ReadError> {
    if !snapshot.is_listening(rules.pipeline_stalled.longest_absence).await? {
        return Ok(stream::empty().boxed());
    }
    let range = newly_silent(rules.common.device_silent_after, snapshot.listening().await?, snapshot.now);
    let walk = snapshot.source.last_seen.walk(Some(range.start), Some(range.end), PAGE);
    let devices = |page: Vec<(DeviceId, _)>| page.into_iter().map(|(device, _)| device).collect();
    Ok(walk.map_ok(devices).map_err(ReadError::from).boxed())
}

/// Evaluates the devices of the page by their last-seen times. While no API is alive, all stays as it is.
async fn evaluate(snapshot: &Snapshot, rules: &Rules) -> Result<Vec<Evaluation>, ReadError> {
    if !snapshot.is_listening(rules.pipeline_stalled.longest_absence).await? {
        return Ok(Vec::new());
    }
    let listening = snapshot.listening().await?;
    let last_seen = snapshot.source.last_seen.of(&snapshot.devices).await?;
    let patience = rules.common.device_silent_after;
    let of = |device: &DeviceId| {
        let open = snapshot.open_of(RULE.name, device);
        let last_seen = last_seen.get(device).copied();
        let since = open.map(|incident| incident.alert.starts_at).or(last_seen)?;
        let alert = Alert::new(RULE.name, Subject::Device(device.clone()), since);
        let health = health(last_seen, patience, listening, snapshot.now);
        Some(Evaluation::new(alert, health, last_seen.unwrap_or(snapshot.now)))
    };
    Ok(snapshot.devices.iter().filter_map(of).collect())
}

/// Returns the range of last-seen times of devices that fell silent recently.
fn newly_silent(patience: SignedDuration, listening: &Listening, now: Timestamp) -> Range<Timestamp> {
    listening.back(now, patience.saturating_add(RECENT))..listening.back(now, patience)
}

/// Returns the health of a device. Without a last-seen time it is never silent: Redis was emptied, or the
/// device forgotten.
fn health(last_seen: Option<Timestamp>, patience: SignedDuration, listening: &Listening, now: Timestamp) -> Health {
    let is_silent = |last_seen| last_seen < listening.back(now, patience);
    last_seen.map_or(Health::Unknown, |last_seen| Health::unhealthy_if(is_silent(last_seen)))
}

#[cfg(test)]
mod tests {
    use pisync_core::models::Gap;

    use super::{Health::*, *};

    const DAY: SignedDuration = SignedDuration::from_hours(24);

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn is_silent_after_a_day_in_which_we_listened() {
        let now = at("2026-11-24T12:00:00Z");
        let away = Gap { from: at("2026-11-24T02:00:00Z"), to: at("2026-11-24T08:00:00Z") };
        for (last_seen, without_gap, with_gap) in [
            ("2026-11-24T11:00:00Z", Healthy, Healthy),
            ("2026-11-23T12:00:00Z", Healthy, Healthy),
            ("2026-11-23T11:59:59Z", Unhealthy, Healthy),
            ("2026-11-23T06:00:00Z", Unhealthy, Healthy),
            ("2026-11-23T05:59:59Z", Unhealthy, Unhealthy),
        ] {
            let of = |gaps: &[Gap]| health(Some(at(last_seen)), DAY, &Listening { gaps: gaps.into() }, now);
            assert_eq!((of(&[]), of(&[away])), (without_gap, with_gap), "{last_seen}");
        }
        assert_eq!(health(None, DAY, &Listening::default(), now), Unknown);
    }

    #[test]
    fn a_restart_after_six_hours_makes_nobody_silent() {
        let back = at("2026-11-24T08:00:00Z");
        let away = Gap { from: at("2026-11-24T02:00:00Z"), to: back };
        // All devices that were healthy before the outage: heard of in the hour before it.
        let silent = newly_silent(DAY, &Listening { gaps: vec![away] }, back);
        assert_eq!(silent, at("2026-11-23T00:00:00Z")..at("2026-11-23T02:00:00Z"));
    }
}
