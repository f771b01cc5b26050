//! Where an alert goes, and how its messages are grouped on that way.

use std::{collections::BTreeMap, time::Duration};

use pisync_core::models::{ALERTNAME, Alert, DEVICE_ID};

use crate::receivers::Reader;

/// The labels that an alert can have in any case; those of the rules' `fleet_by` come to these.
pub(super) const LABELS: [&str; 2] = [ALERTNAME, DEVICE_ID];

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
    /// None where it depends on what the alert is about.
    pub(crate) repeat_interval: Option<Duration>,
}

impl Grouping {
    /// Returns how messages for this reader are grouped where no route says otherwise.
    pub(crate) fn usual(reader: Reader) -> Self {
        let (by, wait, interval): (&[&str], _, _) = match reader {
            Reader::People => (&[ALERTNAME], WAIT_PEOPLE, INTERVAL),
            Reader::Program => (&[ALERTNAME], WAIT_PROGRAMS, INTERVAL),
            // It puts alerts together by itself: nothing waits, and none is only counted.
            Reader::StateKeeper => (&LABELS, Duration::ZERO, Duration::ZERO),
            // Lines of any alerts go together.
            Reader::Log => (&[], Duration::ZERO, Duration::ZERO),
        };
        Self { by: by.iter().map(ToString::to_string).collect(), wait, interval, repeat_interval: None }
    }

    /// Whether each alert is a group of its own.
    pub(crate) fn is_each_alone(&self) -> bool {
        LABELS.iter().all(|label| self.by.iter().any(|by| by == label))
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
            repeat_interval: self.repeat_interval.unwrap_or_else(|| usual_repeat(alert)),
        }
    }
}

/// Returns after how long an alert is repeated unless the route says otherwise.
fn usual_repeat(alert: &Alert) -> Duration {
    if alert.device_id().is_some() { REPEAT_DEVICE } else { REPEAT_FLEET }
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
