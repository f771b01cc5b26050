//! What routes and receives now: the receivers and rules of the file that was read last.

use std::{
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

use pisync_core::{
    models::{Alert, Summary},
    store::Store,
};

use super::{Plan, Receiver, Route, RouteRule, RoutingFile};
use crate::{
    messages::{Links, Messages},
    notification::{Delivery, Notification},
    receivers::{Ping, log::AlertLog},
    rules::Rules,
};

/// The receivers, and the routes that lead to them. Cheap to clone; all clones get what
/// [`Routing::replace`] puts in.
#[derive(Debug, Clone)]
pub struct Routing {
    log: AlertLog,
    links: Links,
    loaded: Arc<RwLock<Arc<Loaded>>>,
}

/// What a config says of them.
#[derive(Debug)]
struct Loaded {
    receivers: Vec<Receiver>,
    routes: Vec<RouteRule>,
    rules: Rules,
    ping: Option<Ping>,
    summary: Option<Plan>,
    messages: Messages,
}

impl Routing {
    /// The receivers of a config, and the log.
    pub fn new(log: AlertLog, links: Links, config: RoutingFile) -> Self {
        let loaded = Arc::new(RwLock::new(Arc::new(Loaded::new(log.clone(), &links, config))));
        Self { log, links, loaded }
    }

    /// The alert log alone: what there is without a config file.
    pub fn log_only(log: AlertLog) -> Self {
        Self::new(log, Links::default(), RoutingFile::default())
    }

    /// Takes the receivers of another config from the next message on; one that is being sent is
    /// sent to its end.
    pub fn replace(&self, config: RoutingFile) {
        let loaded = Arc::new(Loaded::new(self.log.clone(), &self.links, config));
        *self.loaded.write().unwrap_or_else(PoisonError::into_inner) = loaded;
    }

    /// Opens the alert log anew, which may have been renamed.
    pub(crate) fn reopen_log(&self) -> std::io::Result<()> {
        self.log.reopen()
    }

    fn loaded(&self) -> Arc<Loaded> {
        Arc::clone(&self.loaded.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Whom this alert is for, each with what its messages are grouped by: the log always; and the
    /// receiver of the first route that takes it, and of those after it as long as they `continue`.
    /// Without any route, every receiver.
    pub fn routes(&self, alert: &Alert) -> Vec<Route> {
        self.loaded().routes(alert)
    }

    /// Returns how many receivers there are besides the log.
    pub(crate) fn receivers(&self) -> usize {
        self.loaded().receivers.len()
    }

    /// Delivers one message to its receiver. The same message may be sent again by the same id.
    pub async fn send(&self, notification: &Notification) -> Delivery {
        let loaded = self.loaded();
        match loaded.receiver(&notification.receiver) {
            Some(receiver) => receiver.send(notification, &loaded.messages).await,
            None => gone(),
        }
    }

    /// Tells one receiver how a week was; by the same name at each attempt.
    pub(crate) async fn send_summary(&self, address: &str, summary: &Summary) -> Delivery {
        let loaded = self.loaded();
        match loaded.receiver(address) {
            Some(receiver) => receiver.send_summary(address, summary, &loaded.messages).await,
            None => gone(),
        }
    }

    /// When a summary is due, and to whom it goes.
    pub(crate) fn summary(&self) -> Option<Plan> {
        self.loaded().summary.clone()
    }

    /// Tells each Alertmanager of the alerts that are still firing there, before it would take
    /// them for resolved by itself; answers after how long to do so again, if there is any.
    pub async fn keep_alive(&self, store: &Store) -> Option<Duration> {
        let loaded = self.loaded();
        let mut next = None;
        for receiver in &loaded.receivers {
            let Some(alertmanager) = receiver.alertmanager() else { continue };
            if let Err(error) = alertmanager.keep_alive(store, &receiver.name, &loaded.messages).await {
                log::warn!(receiver = receiver.name, error:% = format!("{error:#}"); "its alerts are not kept alive");
            }
            let resend = alertmanager.resend();
            next = Some(next.map_or(resend, |next| resend.min(next)));
        }
        next
    }

    /// Tells who waits for it that a look was done. What goes wrong with that is in the log.
    pub async fn ping(&self) {
        let loaded = self.loaded();
        let Some(ping) = &loaded.ping else { return };
        if let Delivery::Again { why, .. } | Delivery::Dead { why } = ping.send().await {
            log::warn!("the ping was not taken: {why}");
        }
    }

    /// Whether a message to this address lists each of its alerts.
    pub(crate) fn lists_all(&self, address: &str) -> bool {
        self.loaded().receiver(address).is_some_and(Receiver::lists_all)
    }

    /// Returns how messages are rendered.
    pub(crate) fn messages(&self) -> Messages {
        self.loaded().messages.clone()
    }

    /// What is set of the rules now.
    pub(crate) fn rules(&self) -> Rules {
        self.loaded().rules.clone()
    }

    /// The addresses of the receiver of this name; none if there is no such receiver.
    pub fn addresses(&self, name: &str) -> Vec<String> {
        let loaded = self.loaded();
        loaded.receivers.iter().filter(|receiver| receiver.name == name).flat_map(Receiver::addresses).collect()
    }
}

fn gone() -> Delivery {
    Delivery::Dead { why: "there is no such receiver any more".to_owned() }
}

impl Loaded {
    fn new(log: AlertLog, links: &Links, config: RoutingFile) -> Self {
        let RoutingFile { mut receivers, routes, rules, ping, summary } = config;
        receivers.insert(0, Receiver::log(log));
        let messages = Messages::new(links.clone(), rules.common.connectivity_floor_mbps);
        Self { receivers, routes, rules, ping, summary, messages }
    }

    fn receiver(&self, address: &str) -> Option<&Receiver> {
        self.receivers.iter().find(|receiver| receiver.addresses().iter().any(|known| known == address))
    }

    fn routes(&self, alert: &Alert) -> Vec<Route> {
        // The log comes first, and needs no route.
        let every = if self.routes.is_empty() { self.receivers.len() } else { 1 };
        let mut routes: Vec<Route> = Vec::new();
        for receiver in &self.receivers[..every] {
            routes.extend(receiver.addresses().iter().map(|address| receiver.grouping().route(address, alert)));
        }
        for rule in self.routes.iter().filter(|rule| rule.takes(alert)) {
            let further = rule.routes(&self.receivers, alert);
            let is_new = |route: &Route| routes.iter().all(|known| known.receiver != route.receiver);
            let further: Vec<_> = further.into_iter().filter(is_new).collect();
            routes.extend(further);
            if !rule.goes_on() {
                break;
            }
        }
        routes
    }
}
