//! Incidents as the pages show them, those that are alike together.

use jiff::Timestamp;
use pisync_core::models::{Ack, Alert, AlertState, Incident};

use super::{
    delivery::{self, Delivery},
    devices::href,
    moment::{Moment, Span},
    page::escaped,
};

/// What an alert is about that is about no single device.
const WHOLE_FLEET: &str = "the whole fleet";

/// Incidents of one rule, one cause and one state.
pub(super) struct Group {
    pub(super) name: String,
    pub(super) cause: &'static str,
    pub(super) is_firing: bool,
    pub(super) incidents: Vec<Row>,
}

/// An incident.
pub(super) struct Row {
    pub(super) id: String,
    /// The device, or all of them.
    pub(super) subject: String,
    /// Where its page is; nowhere where it is about all of them.
    pub(super) href: String,
    pub(super) failures: i32,
    pub(super) began: Moment,
    pub(super) lasted: String,
    pub(super) deliveries: Vec<Delivery>,
    pub(super) taken: Option<Taken>,
    pub(super) is_silenced: bool,
    pub(super) is_held: bool,
    /// Where it is silenced.
    pub(super) silence: String,
}

/// Someone has taken it on.
pub(super) struct Taken {
    pub(super) by: String,
    pub(super) comment: String,
    pub(super) at: Moment,
}

/// Those that are alike together, each group in the order of the list.
pub(super) fn grouped(found: &[Incident], now: Timestamp) -> Vec<Group> {
    let mut groups = Vec::<Group>::new();
    for listed in found {
        let alert = &listed.alert;
        let (name, cause) = (alert.name.as_str(), alert.cause.as_str());
        let is_firing = alert.state == AlertState::Firing;
        let place = groups
            .iter()
            .position(|group| (group.name.as_str(), group.cause, group.is_firing) == (name, cause, is_firing));
        let place = place.unwrap_or_else(|| {
            groups.push(Group { name: name.to_owned(), cause, is_firing, incidents: Vec::new() });
            groups.len() - 1
        });
        groups[place].incidents.push(Row::new(listed, now));
    }
    groups
}

impl Row {
    pub(super) fn new(incident: &Incident, now: Timestamp) -> Self {
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
            failures: alert.failure_count,
            began: Moment::new(alert.starts_at, now),
            lasted: Span((end.as_second() - alert.starts_at.as_second()).max(0)).to_string(),
            deliveries: delivery::of(incident, now),
            taken: incident.acked.as_ref().map(|ack| Taken::new(ack, now)),
            is_silenced: !incident.silenced_by.is_empty(),
            is_held: incident.inhibited_by.is_some(),
            silence,
        }
    }
}

/// The rule and what it is about, in words.
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
        Self { by: ack.by.clone(), comment: ack.comment.clone(), at: Moment::new(ack.at, now) }
    }
}
