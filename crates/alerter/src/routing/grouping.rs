//! The route of an alert, and the grouping of messages on it.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use jiff::Timestamp;
use pisync_core::models::{ALERTNAME, Alert, DEVICE_ID, Schedule, check_name};

use crate::receivers::Reader;

/// The labels that every alert can have. Those of devices, and of parts of the fleet, are added to these.
pub(super) const LABELS: [&str; 2] = [ALERTNAME, DEVICE_ID];

/// Returns whether an alert may have a label of this name.
pub(super) fn is_label(name: &str) -> bool {
    LABELS.contains(&name) || check_name(name).is_ok()
}

/// The default time after which a device's firing alert is repeated.
const REPEAT_DEVICE: Duration = Duration::from_hours(24);

/// The default group wait for a program: the first alert of a group waits for others.
const WAIT_PROGRAMS: Duration = Duration::from_secs(10);

/// The default group wait for people, longer, so that they get one message about all.
const WAIT_PEOPLE: Duration = Duration::from_mins(2);

/// The default minimum time between two messages of a group.
const INTERVAL: Duration = Duration::from_mins(15);

/// The default time after which a fleet's firing alert is repeated.
const REPEAT_FLEET: Duration = Duration::from_hours(4);

/// A receiver of an alert, and the grouping of its messages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    /// The name of the receiver.
    pub receiver: String,
    /// The labels of the alert that make its group. With the receiver they are the group's key. Alerts of one
    /// group may leave in one message.
    pub group: BTreeMap<String, String>,
    /// The time for which the first alert of a group waits for others.
    pub group_wait: Duration,
    /// The minimum time between two messages of a group.
    pub group_interval: Duration,
    /// The time after which a firing alert that is not acknowledged is repeated.
    pub repeat_interval: Duration,
    /// The hours in which messages leave; `None` for all hours.
    pub during: Option<Arc<Schedule>>,
}

impl Route {
    /// Returns the time at which a message that is planned now may leave at the earliest.
    pub(crate) fn next_at(&self, now: Timestamp) -> Timestamp {
        let at = now.saturating_add(self.group_wait).unwrap_or(Timestamp::MAX);
        self.during.as_ref().map_or(at, |during| during.next_on(at))
    }
}

/// The grouping of messages to a receiver.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Grouping {
    pub(crate) by: Vec<String>,
    pub(crate) wait: Duration,
    pub(crate) interval: Duration,
    /// `None` if it depends on the subject of the alert.
    pub(crate) repeat_interval: Option<Duration>,
}

impl Grouping {
    /// Returns the default grouping for this reader.
    pub(crate) fn usual(reader: Reader) -> Self {
        let (by, wait, interval): (&[&str], _, _) = match reader {
            Reader::People => (&[ALERTNAME], WAIT_PEOPLE, INTERVAL),
            Reader::Program => (&[ALERTNAME], WAIT_PROGRAMS, INTERVAL),
            // The reader groups alerts by itself: nothing waits, and every alert is listed.
            Reader::StateKeeper => (&LABELS, Duration::ZERO, Duration::ZERO),
            // Lines of any alerts go together.
            Reader::Log => (&[], Duration::ZERO, Duration::ZERO),
        };
        Self { by: by.iter().map(ToString::to_string).collect(), wait, interval, repeat_interval: None }
    }

    /// Returns whether each alert is a group of its own.
    pub(crate) fn is_each_alone(&self) -> bool {
        LABELS.iter().all(|label| self.by.iter().any(|by| by == label))
    }

    /// Returns the route of this alert to the receiver.
    pub(crate) fn route(&self, receiver: &str, alert: &Alert) -> Route {
        let is_alone = self.is_each_alone();
        let labels = alert.labels().into_iter();
        let group = labels.filter(|(label, _)| is_alone || self.by.contains(label));
        Route {
            receiver: receiver.to_owned(),
            group: group.collect(),
            group_wait: self.wait,
            group_interval: self.interval,
            repeat_interval: self.repeat_interval.unwrap_or_else(|| usual_repeat(alert)),
            during: None,
        }
    }
}

/// Returns the default time after which an alert is repeated.
fn usual_repeat(alert: &Alert) -> Duration {
    if alert.device_id().is_some() { REPEAT_DEVICE } else { REPEAT_FLEET }
}

#[cfg(test)]
mod tests {
    use pisync_core::models::{AlertName, DeviceId, Subject};

    use super::*;

    #[test]
    fn what_concerns_the_fleet_is_told_again_after_four_hours_and_a_device_after_a_day() {
        let device = Subject::Device(DeviceId::parse("a").unwrap());
        for (name, subject, hours) in
            [(AlertName::DEVICE_SYNC_FAILING, device, 24), (AlertName::FLEET_SYNC_FAILING, Subject::Fleet, 4)]
        {
            let alert = Alert::new(name, subject, Timestamp::UNIX_EPOCH);
            assert_eq!(Grouping::usual(Reader::Log).route("log", &alert).repeat_interval, Duration::from_hours(hours));
            assert_eq!(
                Grouping::usual(Reader::People).route("chat", &alert).repeat_interval,
                Duration::from_hours(hours)
            );
            let set = Grouping { repeat_interval: Some(Duration::from_hours(24)), ..Grouping::usual(Reader::People) };
            assert_eq!(set.route("chat", &alert).repeat_interval, Duration::from_hours(24), "what is set is done");
        }
    }
}
