//! Where an alert goes, and how its messages are grouped on that way.

use std::{collections::BTreeMap, time::Duration};

use pisync_core::models::Alert;

use super::labels;

/// How long until a device's alert that is still firing is told again.
const REPEAT_DEVICE: Duration = Duration::from_hours(24);

/// How long the first alert of a group waits for others, where a program reads it.
const WAIT_PROGRAMS: Duration = Duration::from_secs(10);

/// The same where people do: they are better told once of all.
const WAIT_PEOPLE: Duration = Duration::from_mins(2);

/// How long after a message the next of the same group may leave.
const INTERVAL: Duration = Duration::from_mins(15);

/// The same where it is about more than a device.
const REPEAT_FLEET: Duration = Duration::from_hours(4);

/// One way of one alert.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    /// The name of the receiver.
    pub receiver: String,
    /// The labels of the alert that make its group. With the receiver it is the group's key:
    /// alerts of the same group may leave in one message.
    pub group: BTreeMap<String, String>,
    /// How long the first alert of a group waits for others.
    pub group_wait: Duration,
    /// How long after a message of a group the next may leave.
    pub group_interval: Duration,
    /// After how long an alert that is still firing, and not acknowledged, is told again.
    pub repeat_interval: Duration,
}

/// How the messages to a receiver are grouped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Grouping {
    pub(crate) by: Vec<String>,
    pub(crate) wait: Duration,
    pub(crate) interval: Duration,
    pub(crate) repeat_interval: Duration,
}

impl Grouping {
    /// For receivers that people read.
    pub(crate) fn for_people() -> Self {
        let by = vec![labels::ALERTNAME.to_owned()];
        Self { by, wait: WAIT_PEOPLE, interval: INTERVAL, repeat_interval: REPEAT_DEVICE }
    }

    /// For receivers that a program reads.
    pub(crate) fn for_programs() -> Self {
        Self { wait: WAIT_PROGRAMS, ..Self::for_people() }
    }

    /// For receivers that take no more than one alert at a time, or put them together by
    /// themselves: nothing waits, and none is only counted.
    pub(crate) fn each_alone() -> Self {
        let by = labels::ALL.map(str::to_owned).to_vec();
        Self { by, wait: Duration::ZERO, interval: Duration::ZERO, repeat_interval: REPEAT_DEVICE }
    }

    /// Whether each alert is a group of its own.
    pub(crate) fn is_each_alone(&self) -> bool {
        labels::ALL.iter().all(|label| self.by.iter().any(|by| by == label))
    }

    /// The way of this alert to the receiver.
    pub(crate) fn route(&self, receiver: &str, alert: &Alert) -> Route {
        let is_alone = self.is_each_alone();
        let labels = alert.labels().into_iter();
        let group = labels.filter(|(label, _)| is_alone || self.by.contains(label));
        Route {
            receiver: receiver.to_owned(),
            group: group.collect(),
            group_wait: self.wait,
            group_interval: self.interval,
            repeat_interval: self.repeat_interval,
        }
    }
}

impl Route {
    /// The way to the alert log: nothing waits, and lines of any alerts go together.
    pub(super) fn log() -> Self {
        Self {
            receiver: super::log::NAME.to_owned(),
            group: BTreeMap::new(),
            group_wait: Duration::ZERO,
            group_interval: Duration::ZERO,
            repeat_interval: REPEAT_DEVICE,
        }
    }

    /// The same for this alert: what concerns the fleet is told again sooner, unless another time
    /// was chosen.
    pub(super) fn of(mut self, alert: &Alert) -> Self {
        if alert.device_id().is_none() && self.repeat_interval == REPEAT_DEVICE {
            self.repeat_interval = REPEAT_FLEET;
        }
        self
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use pisync_core::models::{AlertName, DeviceId, Subject};

    use super::*;

    #[test]
    fn what_concerns_the_fleet_is_told_again_after_four_hours_and_a_device_after_a_day() {
        let device = Subject::Device(DeviceId::parse("a").unwrap());
        for (name, subject, hours) in
            [(AlertName::DeviceSyncFailing, device, 24), (AlertName::FleetSyncFailing, Subject::Fleet, 4)]
        {
            let route = Route::log().of(&Alert::new(name, subject, Timestamp::UNIX_EPOCH));
            assert_eq!(route.repeat_interval, Duration::from_hours(hours));
        }
    }
}
