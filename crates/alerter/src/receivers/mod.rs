//! Where messages go: which receivers an alert is for, and the sending.

mod alertmanager;
mod email;
mod fleet_wording;
mod http;
pub(crate) mod labels;
pub mod log;
mod pagerduty;
mod payload;
mod ping;
mod receiver;
mod route;
mod slack;
mod webhook;
mod wording;

use std::sync::{Arc, PoisonError, RwLock};

pub use ping::Ping;
use pisync_core::{
    models::{Alert, Summary},
    store::Store,
};
pub use receiver::Receiver;
pub(crate) use route::Grouping;
pub use route::Route;
pub use wording::Links;
pub(crate) use wording::{in_words, subject};

use self::{log::AlertLog, wording::Wording};
use crate::{
    alert_config::{AlertConfig, RouteRule},
    notification::{Delivery, Notification},
    rules::Rules,
    summary::plan::Plan,
};

/// The receivers, and the routes that lead to them. Cheap to clone; all clones get what
/// [`Receivers::replace`] puts in.
#[derive(Debug, Clone)]
pub struct Receivers {
    log: AlertLog,
    links: Links,
    held: Arc<RwLock<Arc<Held>>>,
}

/// What a config says of them.
#[derive(Debug)]
struct Held {
    receivers: Vec<Receiver>,
    routes: Vec<RouteRule>,
    rules: Rules,
    ping: Option<Ping>,
    summary: Option<Plan>,
    wording: Wording,
}

impl Receivers {
    /// The receivers of a config, and the log.
    pub fn new(log: AlertLog, links: Links, config: AlertConfig) -> Self {
        let held = Arc::new(RwLock::new(Arc::new(Held::new(&links, config))));
        Self { log, links, held }
    }

    /// The alert log alone: what there is without a config file.
    pub fn log_only(log: AlertLog) -> Self {
        Self::new(log, Links::default(), AlertConfig::default())
    }

    /// Takes the receivers of another config from the next message on; one that is being sent is
    /// sent to its end.
    pub fn replace(&self, config: AlertConfig) {
        *self.held.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(Held::new(&self.links, config));
    }

    fn held(&self) -> Arc<Held> {
        Arc::clone(&self.held.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Whom this alert is for, each with what its messages are grouped by: the log always; and the
    /// receiver of the first route that takes it, and of those after it as long as they `continue`.
    /// Without any route, every receiver.
    pub fn routes(&self, alert: &Alert) -> Vec<Route> {
        let mut routes = vec![Route::log()];
        routes.extend(self.held().routes(alert));
        routes.into_iter().map(|route| route.of(alert)).collect()
    }

    /// Delivers one message to its receiver. The same message may be sent again by the same id.
    pub async fn send(&self, notification: &Notification) -> Delivery {
        let (held, name) = (self.held(), notification.receiver.as_str());
        if name == log::NAME {
            return self.log.send(notification, &held.wording).await;
        }
        match held.receivers.iter().find(|receiver| receiver.name == name) {
            Some(receiver) => receiver.send(notification, &held.wording).await,
            None => Delivery::Dead { why: "there is no such receiver any more".to_owned() },
        }
    }

    /// Tells one receiver how a week was; by the same name at each attempt.
    pub(crate) async fn tell(&self, name: &str, summary: &Summary) -> Delivery {
        let held = self.held();
        if name == log::NAME {
            return self.log.tell(summary).await;
        }
        match held.receivers.iter().find(|receiver| receiver.name == name) {
            Some(receiver) => receiver.tell(summary, &held.wording).await,
            None => Delivery::Dead { why: "there is no such receiver any more".to_owned() },
        }
    }

    /// When a summary is due, and to whom it goes.
    pub(crate) fn summary(&self) -> Option<Plan> {
        self.held().summary.clone()
    }

    /// Tells each Alertmanager of the alerts that are still firing there, before it would take
    /// them for resolved by itself; answers after how long to do so again, if there is any.
    pub async fn keep_alive(&self, store: &Store) -> Option<std::time::Duration> {
        let held = self.held();
        let mut next = None;
        for receiver in &held.receivers {
            let Some(alertmanager) = receiver.alertmanager() else { continue };
            if let Err(error) = alertmanager.keep_alive(store, &receiver.name, &held.wording).await {
                ::log::warn!(receiver = receiver.name, error:% = format!("{error:#}"); "its alerts are not kept alive");
            }
            let resend = alertmanager.resend();
            next = Some(next.map_or(resend, |next| resend.min(next)));
        }
        next
    }

    /// Tells who waits for it that a look was done. What goes wrong with that is in the log.
    pub async fn ping(&self) {
        let held = self.held();
        let Some(ping) = &held.ping else { return };
        if let Delivery::Again { why, .. } | Delivery::Dead { why } = ping.send().await {
            ::log::warn!("the ping was not taken: {why}");
        }
    }

    /// Whether a message to this receiver lists each of its alerts: those of which it counts the
    /// rest would be lost to what keeps the state of each by itself.
    pub(crate) fn lists_all(&self, name: &str) -> bool {
        let held = self.held();
        let receiver = held.receivers.iter().find(|receiver| receiver.name == name);
        name == log::NAME || receiver.is_some_and(Receiver::lists_all)
    }

    /// What is set of the rules now.
    pub(crate) fn rules(&self) -> Rules {
        self.held().rules.clone()
    }

    /// Whether there is a receiver of this name.
    pub fn has(&self, name: &str) -> bool {
        name == log::NAME || self.held().receivers.iter().any(|receiver| receiver.name == name)
    }
}

impl Held {
    fn new(links: &Links, config: AlertConfig) -> Self {
        let AlertConfig { receivers, routes, rules, ping, summary } = config;
        let wording = Wording { links: links.clone(), floor_mbps: rules.connectivity_floor_mbps };
        Self { receivers, routes, rules, ping, summary, wording }
    }

    fn routes(&self, alert: &Alert) -> Vec<Route> {
        if self.routes.is_empty() {
            let every = self.receivers.iter();
            return every.map(|receiver| receiver.grouping().route(&receiver.name, alert)).collect();
        }
        let mut routes: Vec<Route> = Vec::new();
        for rule in self.routes.iter().filter(|rule| rule.takes(alert)) {
            let route = rule.route(alert);
            if routes.iter().all(|known| known.receiver != route.receiver) {
                routes.push(route);
            }
            if !rule.goes_on() {
                break;
            }
        }
        routes
    }
}
