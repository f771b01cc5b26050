//! One message to one receiver, and the result of its delivery.

use std::{collections::BTreeMap, time::Duration};

use pisync_core::models::{Alert, AlertName, NotificationKind};

use crate::device_context::DeviceContext;

/// One message to one receiver.
#[derive(Debug, Clone)]
pub struct Notification {
    /// The id, the same in every attempt, so that a receiver can drop a duplicate.
    pub id: String,
    /// The name of the receiver.
    pub receiver: String,
    /// The labels that its alerts have in common, by the route's `group_by`.
    pub group: BTreeMap<String, String>,
    /// The listed alerts, at most 50.
    pub notices: Vec<AlertNotification>,
    /// The number of alerts that are counted and not listed.
    pub more: usize,
}

/// One alert in a message.
#[derive(Debug, Clone)]
pub struct AlertNotification {
    /// The kind: firing, repeat or resolved.
    pub kind: NotificationKind,
    /// The alert.
    pub alert: Alert,
    /// Further facts about its device, for people.
    pub context: DeviceContext,
}

impl AlertNotification {
    /// Returns the number of failures and their cause, if it is about failed syncs.
    pub(crate) fn failures(&self) -> Option<(i32, &'static str)> {
        let Alert { name, failure_count, cause, .. } = &self.alert;
        let is_about_syncs = [AlertName::DEVICE_SYNC_FAILING, AlertName::FLEET_SYNC_FAILING].contains(name);
        is_about_syncs.then(|| (*failure_count, cause.as_str()))
    }
}

/// The result of an attempt to deliver a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Delivery {
    /// The receiver accepted it.
    Sent,
    /// The attempt failed; a later one may succeed.
    Again {
        /// The time after which the receiver asks to be tried again, if it says so.
        after: Option<Duration>,
        /// The error, without any secret.
        why: String,
    },
    /// The receiver will never accept this message.
    Dead {
        /// The error, without any secret.
        why: String,
    },
}

impl Delivery {
    /// Waits for a delivery, with a timeout.
    pub(crate) async fn within(timeout: Duration, sending: impl Future<Output = Self>) -> Self {
        let late = || Self::Again { after: None, why: format!("no answer within {} s", timeout.as_secs_f64()) };
        tokio::time::timeout(timeout, sending).await.unwrap_or_else(|_| late())
    }
}
