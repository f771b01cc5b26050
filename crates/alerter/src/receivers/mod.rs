//! Where messages go: which receivers an alert is for, and the sending.

mod fleet_wording;
pub mod log;
mod route;

use pisync_core::models::Alert;
pub use route::Route;

use self::log::AlertLog;
use crate::notification::{Delivery, Notification};

/// The receivers, and the routes that lead to them. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Receivers {
    log: AlertLog,
}

impl Receivers {
    /// The alert log alone: what there is without a config file.
    pub fn log_only(log: AlertLog) -> Self {
        Self { log }
    }

    /// Whom this alert is for, each with what its messages are grouped by.
    pub fn routes(&self, alert: &Alert) -> Vec<Route> {
        vec![Route::log().of(alert)]
    }

    /// Delivers one message to its receiver. The same message may be sent again by the same id.
    pub async fn send(&self, notification: &Notification) -> Delivery {
        match notification.receiver.as_str() {
            log::NAME => self.log.send(notification).await,
            other => Delivery::Dead { why: format!("there is no receiver {other}") },
        }
    }
}
