//! What routes and receives now: the receivers and rules of the file that was read last.

use std::{
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

use pisync_core::{
    models::{Alert, Summary},
    store::Store,
};

use super::{Grouping, Route, RoutingFile};
use crate::{
    messages::{Links, Messages},
    notification::{Delivery, Notification},
    receivers::{Kind, Receiver, log::AlertLog},
};

/// The receivers, and the routes that lead to them. Cheap to clone; all clones get what
/// [`Routing::replace`] puts in.
#[derive(Debug, Clone)]
pub struct Routing {
    pub(super) log: AlertLog,
    links: Links,
    current: Arc<RwLock<Arc<Current>>>,
}

/// What the file says, with the log as the first of its receivers.
#[derive(Debug)]
pub(crate) struct Current {
    pub(crate) file: RoutingFile,
    pub(crate) messages: Messages,
}

impl Routing {
    /// The receivers of a config, and the log.
    pub fn new(log: AlertLog, links: Links, file: RoutingFile) -> Self {
        let current = Arc::new(RwLock::new(Arc::new(Current::new(log.clone(), &links, file))));
        Self { log, links, current }
    }

    /// Takes the receivers of another config from the next message on; one that is being sent is
    /// sent to its end.
    pub fn replace(&self, file: RoutingFile) {
        let current = Arc::new(Current::new(self.log.clone(), &self.links, file));
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = current;
    }

    /// Returns what counts now.
    pub(crate) fn current(&self) -> Arc<Current> {
        Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Delivers one message to its receiver. The same message may be sent again by the same id.
    pub async fn send(&self, notification: &Notification) -> Delivery {
        let current = self.current();
        match current.receiver(&notification.receiver) {
            Some(receiver) => receiver.send(notification, &current.messages).await,
            None => gone(),
        }
    }

    /// Tells one receiver how a week was; by the same name at each attempt.
    pub(crate) async fn send_summary(&self, address: &str, summary: &Summary) -> Delivery {
        let current = self.current();
        match current.receiver(address) {
            Some(receiver) => receiver.send_summary(address, summary, &current.messages).await,
            None => gone(),
        }
    }

    /// Tells each Alertmanager of the alerts that are still firing there, before it would take
    /// them for resolved by itself; answers after how long to do so again, if there is any.
    pub async fn keep_alive(&self, store: &Store) -> Option<Duration> {
        let current = self.current();
        let mut next = None;
        for receiver in &current.file.receivers {
            let Kind::Alertmanager(alertmanager) = &receiver.kind else { continue };
            if let Err(error) = alertmanager.keep_alive(store, &receiver.name, &current.messages).await {
                log::warn!(receiver = receiver.name, error:% = format!("{error:#}"); "its alerts are not kept alive");
            }
            next = Some(next.map_or(alertmanager.resend, |next| alertmanager.resend.min(next)));
        }
        next
    }

    /// Tells who waits for it that a look was done. What goes wrong with that is in the log.
    pub(crate) async fn ping(&self) {
        let current = self.current();
        let Some(ping) = &current.file.ping else { return };
        if let Delivery::Again { why, .. } | Delivery::Dead { why } = ping.send().await {
            log::warn!("the ping was not taken: {why}");
        }
    }
}

fn gone() -> Delivery {
    Delivery::Dead { why: "there is no such receiver any more".to_owned() }
}

impl Current {
    fn new(log: AlertLog, links: &Links, mut file: RoutingFile) -> Self {
        file.receivers.insert(0, Receiver::log(log));
        let messages = Messages::new(links.clone(), file.rules.common.connectivity_floor_mbps);
        Self { file, messages }
    }

    /// The receiver to which messages with this address go.
    pub(crate) fn receiver(&self, address: &str) -> Option<&Receiver> {
        self.file.receivers.iter().find(|receiver| receiver.addresses().iter().any(|known| known == address))
    }

    /// The addresses of the receiver of this name; none if there is no such receiver.
    pub(crate) fn addresses(&self, name: &str) -> Vec<String> {
        let receivers = self.file.receivers.iter().filter(|receiver| receiver.name == name);
        receivers.flat_map(Receiver::addresses).collect()
    }

    /// Whom this alert is for, each with what its messages are grouped by: the log always; and the
    /// receiver of the first route that takes it, and of those after it as long as they `continue`.
    /// Without any route, every receiver.
    pub(crate) fn routes(&self, alert: &Alert) -> Vec<Route> {
        let RoutingFile { receivers, routes: rules, .. } = &self.file;
        // The log comes first, and needs no route.
        let every = if rules.is_empty() { receivers.len() } else { 1 };
        let mut routes: Vec<Route> = Vec::new();
        for receiver in &receivers[..every] {
            let usual = Grouping::usual(receiver.reader());
            routes.extend(receiver.addresses().iter().map(|address| usual.route(address, alert)));
        }
        for rule in rules.iter().filter(|rule| rule.takes(alert)) {
            let is_new = |route: &Route| routes.iter().all(|known| known.receiver != route.receiver);
            let further: Vec<_> = rule.routes(receivers, alert).into_iter().filter(is_new).collect();
            routes.extend(further);
            if !rule.goes_on {
                break;
            }
        }
        routes
    }
}
