//! The HTTP server around the routes.

use std::{net::TcpListener, sync::Arc};

use actix_web::{App, middleware::from_fn, web};
use jiff::SignedDuration;
use pisync_core::{
    crash::CrashSettings,
    queue::{LastSeen, Producer, Queue},
    store::Store,
};
use tokio_util::sync::CancellationToken;

use crate::{
    api::{Docs, FailingTotal, Summaries},
    dashboard::{Assets, Attempts, Pace},
    fleet::{Census, Changes, Hours, Liveness},
    front::Front,
    http::{
        self, Permits, headers, limits::Limits, metrics::Metrics, request_id, server::Bounds, signing::SigningKeys,
        tls::Certificate,
    },
    routes,
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

/// Serves on `listener` until `stop`, then finishes the requests under way.
pub(crate) async fn serve(
    listener: TcpListener,
    front: Front,
    state: State,
    bounds: Bounds,
    stop: CancellationToken,
) -> std::io::Result<()> {
    let processors = std::thread::available_parallelism()?.get();
    let permits = web::Data::new(Permits::new(processors, bounds.are_kept));
    let budget = web::Data::new(bounds.budget.clone());
    let (metrics, counted) = (state.metrics.clone(), state.metrics.clone());
    let state = web::Data::new(state);
    let docs = web::Data::new(Docs::new());
    let assets = web::Data::new(Assets::new()?);
    let attempts = web::Data::new(Attempts::new(bounds.are_kept));
    let tls = front.certificate.as_ref().map(Certificate::server_config).transpose();
    let tls = tls.map_err(std::io::Error::other)?;
    let app = move || {
        let app = App::new().app_data(state.clone()).app_data(metrics.clone()).app_data(docs.clone());
        let app = app.app_data(assets.clone()).app_data(attempts.clone()).app_data(permits.clone());
        let app = app.app_data(budget.clone()).app_data(front.site.clone()).app_data(front.gate.clone());
        let app = app.app_data(front.origins.clone()).configure(routes::table);
        // Outermost last.
        let app = app.wrap(from_fn(http::perimeter));
        let app = app.wrap(headers::careful(front.certificate.is_some()));
        app.wrap(from_fn(request_id::note))
    };
    http::server::serve(listener, tls, bounds, app, counted, stop).await
}
