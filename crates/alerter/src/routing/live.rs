//! The current routing: the receivers and rules of the last valid file.

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

/// The receivers, and the routes that lead to them. Cheap to clone. All clones see a config set by
/// [`Routing::replace`].
#[derive(Debug, Clone)]
pub struct Routing {
    pub(super) log: AlertLog,
    links: Links,
    current: Arc<RwLock<Arc<Current>>>,
}

/// The content of the file, with the log as the first of its receivers.
#[derive(Debug)]
pub(crate) struct Current {
    pub(crate) file: RoutingFile,
    pub(crate) messages: Messages,
}

impl Routing {
    /// Returns the receivers of a config, and the log.
    pub fn new(log: AlertLog, links: Links, file: RoutingFile) -> Self {
        let current = Arc::new(RwLock::new(Arc::new(Current::new(log.clone(), &links, file))));
        Self { log, links, current }
    }

    /// Replaces the config from the next message on. A message in flight is still sent by the old one.
    pub fn replace(&self, file: RoutingFile) {
        let current = Arc::new(Current::new(self.log.clone(), &self.links, file));
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = current;
    }

    /// Returns the current config.
    pub(crate) fn current(&self) -> Arc<Current> {
        Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Delivers one message to its receiver. It may be sent again by the same id.
    pub async fn send(&self, notification: &Notification) -> Delivery {
        let current = self.current();
        match current.receiver(&notification.receiver) {
            Some(receiver) => receiver.send(notification, &current.messages).await,
            None => gone(),
        }
    }

    /// Sends a weekly summary to one receiver, with the same id at each attempt.
    pub(crate) async fn send_summary(&self, address: &str, summary: &Summary) -> Delivery {
        let current = self.current();
        match current.receiver(address) {
            Some(receiver) => receiver.send_summary(address, summary, &current.messages).await,
            None => gone(),
        }
    }

    /// Pushes firing alerts to each Alertmanager again, before it would resolve them by itself. Returns the
    /// time until the next push, if there is an Alertmanager.
    pub async fn keep_alive(&self, store: &Store) -> Option<Duration> {
        let current = self.current();
        let mut next = None;
        for receiver in &current.file.receivers {
            let Kind::Alertmanager(alertmanager) = &receiver.kind else { continue };
            if let Err(error) = alertmanager.keep_alive(store, &receiver.name, &current.messages).await {
                log::warn!(receiver = receiver.name, error:% = format!("{error:#}"); "its firing alerts were not pushed again");
            }
            next = Some(next.map_or(alertmanager.resend, |next| alertmanager.resend.min(next)));
        }
        next
    }

    /// Pings after a tick, if the config has a ping. An error is logged.
    pub(crate) async fn ping(&self) {
        let current = self.current();
        let Some(ping) = &current.file.ping else { return };
        if let Delivery::Again { why, .. } | Delivery::Dead { why } = ping.send().await {
            log::warn!("the ping failed: {why}");
        }
    }
}

fn gone() -> Delivery {
    Delivery::Dead { why: "the receiver no longer exists".to_owned() }
}

impl Current {
    fn new(log: AlertLog, links: &Links, mut file: RoutingFile) -> Self {
        file.receivers.insert(0, Receiver::log(log));
        let messages = Messages::new(links.clone(), file.rules.common.connectivity_floor_mbps);
        Self { file, messages }
    }

    /// Returns the receiver of messages with this address.
    pub(crate) fn receiver(&self, address: &str) -> Option<&Receiver> {
        self.file.receivers.iter().find(|receiver| receiver.addresses().iter().any(|known| known == address))
    }

    /// Returns the addresses of the receiver of this name; empty if it does not exist.
    pub(crate) fn addresses(&self, name: &str) -> Vec<String> {
        let receivers = self.file.receivers.iter().filter(|receiver| receiver.name == name);
        receivers.flat_map(Receiver::addresses).collect()
    }

    /// Returns the routes of this alert, one for each receiver.
    ///
    /// The log is always one. Then comes the receiver of the first route that matches, and of the next ones as
    /// long as they `continue`. Without any route, all receivers get it.
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
