//! The state of the routes: servers, limits, metrics and settings of this process.

use std::sync::Arc;

use actix_web::web;
use jiff::SignedDuration;
use pisync_core::{
    crash::CrashSettings,
    queue::{Producer, Queue},
    store::Store,
};

use crate::{
    fleet::Fleet,
    http::{limits::Limits, metrics::Metrics, signing::SigningKeys},
};

/// The state of the routes.
#[derive(Debug, Clone)]
pub struct State {
    /// The queue in Redis.
    pub queue: Queue,
    /// Pushes events into the queue.
    pub producer: Producer,
    /// Rate limits of devices and keys.
    pub limits: Arc<Limits>,
    /// Point at which to crash, in tests of the system.
    pub crash: CrashSettings,
    /// The store for reads.
    pub store: Store,
    /// The values that API and pages both compute.
    pub fleet: Fleet,
    /// Keys that sign cursors.
    pub cursor_keys: SigningKeys,
    /// Keys that sign sessions and links.
    pub signing_keys: SigningKeys,
    /// Interval of the devices' reports; `None` if their next time is not returned.
    pub report_interval: Option<SignedDuration>,
    /// Metrics of this process.
    pub metrics: web::Data<Metrics>,
}
