//! Where an alert goes, and how its messages are grouped on that way.

use std::{collections::BTreeMap, time::Duration};

use pisync_core::models::Alert;

use super::log;

/// How long until a device's alert that is still firing is told again.
pub(crate) const REPEAT_DEVICE: Duration = Duration::from_hours(24);

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

impl Route {
    /// The way to the alert log: nothing waits.
    pub(super) fn log() -> Self {
        Self {
            receiver: log::NAME.to_owned(),
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
