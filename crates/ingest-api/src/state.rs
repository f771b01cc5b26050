//! What the routes work with: servers, limits, counts and settings of this process.

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

/// What the routes work with.
#[derive(Debug, Clone)]
pub struct State {
    /// Whether the queue is there.
    pub queue: Queue,
    /// The way into the queue.
    pub producer: Producer,
    /// How much may be sent.
    pub limits: Arc<Limits>,
    /// Where to die, in tests of the system.
    pub crash: CrashSettings,
    /// Where reads are answered from.
    pub store: Store,
    /// What API and pages compute in common.
    pub fleet: Fleet,
    /// What cursors are sealed with.
    pub cursor_keys: SigningKeys,
    /// What sessions and links are sealed with.
    pub signing_keys: SigningKeys,
    /// How often devices report, where they are told when to come again.
    pub report_interval: Option<SignedDuration>,
    /// What is counted.
    pub metrics: web::Data<Metrics>,
}
