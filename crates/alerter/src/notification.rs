//! One message to one receiver: what it is made of, and what became of it.

use std::{collections::BTreeMap, time::Duration};

use pisync_core::models::{Alert, AlertName, NotificationKind};

use crate::device_context::DeviceContext;

/// One message to one receiver: what leaves at once.
#[derive(Debug, Clone)]
pub struct Notification {
    /// The same in every attempt to deliver it, so that a receiver can tell a message that comes
    /// again from another.
    pub id: String,
    /// The name of the receiver.
    pub receiver: String,
    /// The labels that its alerts have in common, by the route's `group_by`.
    pub group: BTreeMap<String, String>,
    /// What it tells, at most 50 alerts.
    pub notices: Vec<AlertNotification>,
    /// How many further alerts are counted and not listed.
    pub more: usize,
}

/// One alert in a message.
#[derive(Debug, Clone)]
pub struct AlertNotification {
    /// Why people are notified.
    pub kind: NotificationKind,
    /// What is wrong, or was.
    pub alert: Alert,
    /// What else is known, for people.
    pub context: DeviceContext,
}

impl AlertNotification {
    /// Returns how many failed and why, if it is about failed syncs.
    pub(crate) fn failures(&self) -> Option<(i32, &'static str)> {
        let Alert { name, failure_count, cause, .. } = &self.alert;
        let is_about_syncs = [AlertName::DEVICE_SYNC_FAILING, AlertName::FLEET_SYNC_FAILING].contains(name);
        is_about_syncs.then(|| (*failure_count, cause.as_str()))
    }
}

/// What became of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Delivery {
    /// The receiver has it.
    Sent,
    /// It does not, and may take it later.
    Again {
        /// When it asks to be tried again, if it says so.
        after: Option<Duration>,
        /// What happened, without any secret.
        why: String,
    },
    /// It will never take this message.
    Dead {
        /// What happened, without any secret.
        why: String,
    },
}

impl Delivery {
    /// Waits for a delivery, and gives it up when the time is over.
    pub(crate) async fn within(timeout: Duration, sending: impl Future<Output = Self>) -> Self {
        let late = || Self::Again { after: None, why: format!("no answer within {} s", timeout.as_secs_f64()) };
        tokio::time::timeout(timeout, sending).await.unwrap_or_else(|_| late())
    }
}
