//! What the routes work with: servers, limits, counts and settings of this process.

use std::sync::Arc;

use actix_web::web;
use jiff::SignedDuration;
use pisync_core::{
    crash::CrashSettings,
    queue::{LastSeen, Producer, Queue},
    store::Store,
};

use crate::{
    api::{FailingTotal, Summaries},
    dashboard::Pace,
    fleet::{Census, Changes, Hours, Liveness},
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
    /// When devices were last heard of.
    pub last_seen: LastSeen,
    /// Who is alive beside this process.
    pub liveness: Liveness,
    /// The hours, added up.
    pub hours: Hours,
    /// How many devices have which status.
    pub census: Census,
    /// What those that fail have in common.
    pub changes: Changes,
    /// How many devices keep failing.
    pub failing_total: FailingTotal,
    /// How fast events come.
    pub pace: Pace,
    /// What cursors are sealed with.
    pub cursor_keys: SigningKeys,
    /// What sessions and links are sealed with.
    pub signing_keys: SigningKeys,
    /// The summaries that were made lately.
    pub summaries: Summaries,
    /// How long nothing is heard of a device until it is silent.
    pub silent_after: SignedDuration,
    /// How often devices report, where they are told when to come again.
    pub report_interval: Option<SignedDuration>,
    /// What is counted.
    pub metrics: web::Data<Metrics>,
}
