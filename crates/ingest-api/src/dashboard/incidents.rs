//! Incidents as the pages show them, grouped by rule, cause and state.

use std::collections::HashMap;

use jiff::Timestamp;
use pisync_core::{
    models::{Ack, Alert, AlertName, AlertState, DeviceId, Incident},
    store::Store,
};

use super::{
    delivery::{self, Delivery},
    devices::href,
    page::escaped,
    relative_time::{self, RelativeTime, Span},
    whole_fleet,
};
use crate::http::error::ApiError;

/// Subject of an alert that is not about a single device.
const WHOLE_FLEET: &str = "the whole fleet";

/// Incidents of one rule, one cause and one state.
pub(super) struct Group {
    pub(super) name: String,
    /// The cause at the last notification; empty for a rule without causes.
    pub(super) cause: &'static str,
    pub(super) is_firing: bool,
    pub(super) incidents: Vec<Row>,
}

/// An incident.
pub(super) struct Row {
    pub(super) id: String,
    /// The device, or the whole fleet.
    pub(super) subject: String,
    /// Address of the device's page; empty for the whole fleet.
    pub(super) href: String,
    /// The severity in words; empty if the rule's name is enough.
    pub(super) evidence: String,
    pub(super) began: RelativeTime,
    pub(super) lasted: String,
    pub(super) deliveries: Vec<Delivery>,
    pub(super) taken: Option<Taken>,
    pub(super) is_silenced: bool,
    pub(super) is_held: bool,
    /// Address of the form that silences it.
    pub(super) silence: String,
}

/// An acknowledgement.
pub(super) struct Taken {
    pub(super) by: String,
    pub(super) comment: String,
    pub(super) at: RelativeTime,
}

/// The present failed syncs in a row of the devices, from the counters of the device list; an alert keeps the
/// number of its last notification.
pub(super) struct Counts(HashMap<DeviceId, i32>);

impl Counts {
    /// Returns the counts of the devices with open incidents.
    pub(super) async fn of(store: &Store, found: &[Incident]) -> Result<Self, ApiError> {
        let open = found.iter().map(|incident| &incident.alert).filter(|alert| alert.state == AlertState::Firing);
        let devices: Vec<_> = open.filter_map(Alert::device_id).collect();
        if devices.is_empty() {
            return Ok(Self(HashMap::new()));
        }
        let counters = store.failure_counters().readable(&devices).await?;
        Ok(Self(counters.into_iter().map(|(device, counter)| (device, counter.failure_count())).collect()))
    }

    fn evidence(&self, alert: &Alert) -> String {
        let stats = alert
            .finding
            .as_ref()
            .map(|stats| (relative_time::grouped(stats.part), relative_time::grouped(stats.whole)));
        match (alert.name, stats) {
            (AlertName::DEVICE_SYNC_FAILING, _) => match alert.device_id().and_then(|device| self.0.get(device)) {
                Some(count) if *count > 0 => format!("{count} failed in a row"),
                _ => format!("{} failed in a row at the last notification", alert.failure_count),
            },
            (AlertName::FLEET_SYNC_FAILING, Some((part, whole))) => format!("{part} of {whole} devices failing"),
            (AlertName::FLEET_SILENT, Some((part, whole))) => format!("{part} of {whole} devices silent"),
            (AlertName::FLEET_DIGEST, Some((part, _))) => format!("{part} devices not recovered"),
            (AlertName::DEVICE_FLAPPING, Some((part, whole))) => {
                format!("{part} of its last {whole} transitions were between good and failed")
            }
            (AlertName::PIPELINE_STALLED, _) => {
                alert.finding.as_ref().map(|stats| whole_fleet::known(alert.name, stats)).unwrap_or_default()
            }
            _ => String::new(),
        }
    }
}

/// Groups the incidents; each group keeps the order of the list.
pub(super) fn grouped(found: &[Incident], counts: &Counts, now: Timestamp) -> Vec<Group> {
    let mut groups = Vec::<Group>::new();
    for listed in found {
        let alert = &listed.alert;
        let (name, cause) = (alert.name.as_str(), cause(alert));
        let is_firing = alert.state == AlertState::Firing;
        let place = groups
            .iter()
            .position(|group| (group.name.as_str(), group.cause, group.is_firing) == (name, cause, is_firing));
        let place = place.unwrap_or_else(|| {
            groups.push(Group { name: name.to_owned(), cause, is_firing, incidents: Vec::new() });
            groups.len() - 1
        });
        groups[place].incidents.push(Row::new(listed, counts, now));
    }
    groups
}

impl Row {
    pub(super) fn new(incident: &Incident, counts: &Counts, now: Timestamp) -> Self {
        let alert = &incident.alert;
        let end = alert.ends_at.unwrap_or(now);
        let device_id = alert.device_id().map(ToString::to_string);
        let silence = match &device_id {
            Some(device_id) => format!("/silences?kind=exact&device={}", escaped(device_id)),
            None => format!("/silences?rule={}", alert.name),
        };
        Self {
            id: alert.id.to_string(),
            href: device_id.as_deref().map(href).unwrap_or_default(),
            subject: subject(alert),
            evidence: counts.evidence(alert),
            began: RelativeTime::new(alert.starts_at, now),
            lasted: Span((end.as_second() - alert.starts_at.as_second()).max(0)).to_string(),
            deliveries: delivery::of(incident, now),
            taken: incident.acked.as_ref().map(|ack| Taken::new(ack, now)),
            is_silenced: !incident.silenced_by.is_empty(),
            is_held: incident.inhibited_by.is_some(),
            silence,
        }
    }
}

/// Returns the cause of failed syncs at the last notification; empty for other rules.
pub(super) fn cause(alert: &Alert) -> &'static str {
    match alert.name {
        AlertName::DEVICE_SYNC_FAILING | AlertName::FLEET_SYNC_FAILING => alert.cause.as_str(),
        _ => "",
    }
}

/// Returns the rule and its subject, in words.
pub(super) fn in_words(incident: &Incident) -> String {
    let alert = &incident.alert;
    format!("{} of {}", alert.name, subject(alert))
}

fn subject(alert: &Alert) -> String {
    let part = || alert.scope().map(ToString::to_string);
    alert.device_id().map(ToString::to_string).or_else(part).unwrap_or_else(|| WHOLE_FLEET.into())
}

impl Taken {
    fn new(ack: &Ack, now: Timestamp) -> Self {
        Self { by: ack.by.clone(), comment: ack.comment.clone(), at: RelativeTime::new(ack.at, now) }
    }
}
