//! The HTTP server around the routes.

use std::{net::TcpListener, sync::Arc, time::Duration};

use actix_web::{
    App, Error, HttpServer,
    body::MessageBody,
    dev::{ServiceRequest, ServiceResponse},
    middleware::{Next, from_fn},
    web,
};
use jiff::SignedDuration;
use pisync_core::{
    crash::CrashSettings,
    queue::{LastSeen, Producer, Queue},
    store::Store,
};
use tokio_util::sync::CancellationToken;

use crate::{
    changes::Changes,
    cursor_key::CursorKeys,
    dashboard::{Assets, Attempts, Pace},
    error::ApiError,
    front::Front,
    headers,
    hours::Hours,
    limits::Limits,
    metrics::Metrics,
    request_id, routes,
    routes::{Census, Docs, FailingTotal},
};

/// How long requests may go on after the signal to stop.
const SHUTDOWN_SECONDS: u64 = 10;

/// How long the head of a request may take: longer than a slow line needs, shorter than a client
/// that only wants to hold a connection would like.
const HEAD_PATIENCE: Duration = Duration::from_secs(20);

/// The most bytes of a request's header, over all its fields.
const HEADER_LIMIT: usize = 16 * 1024;

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
    pub cursor_keys: CursorKeys,
    /// How long nothing is heard of a device until it is silent.
    pub silent_after: SignedDuration,
    /// How often devices report, where they are told when to come again.
    pub report_interval: Option<SignedDuration>,
    /// What is counted.
    pub metrics: web::Data<Metrics>,
}

/// Serves on `listener` until `stop`, then finishes the requests under way.
pub async fn serve(
    listener: TcpListener,
    front: Front,
    state: State,
    max_connections: u32,
    stop: CancellationToken,
) -> std::io::Result<()> {
    let metrics = state.metrics.clone();
    let state = web::Data::new(state);
    let docs = web::Data::new(Docs::new());
    let assets = web::Data::new(Assets::new()?);
    let attempts = web::Data::new(Attempts::new());
    let certificate = front.certificate.clone();
    let app = move || {
        let app = App::new().app_data(state.clone()).app_data(metrics.clone()).app_data(docs.clone());
        let app = app.app_data(assets.clone()).app_data(attempts.clone());
        let app = app.app_data(front.gate.clone()).app_data(front.origins.clone()).configure(routes::table);
        // Outermost last.
        let app = app.wrap(from_fn(routes::tidy)).wrap(from_fn(refuse_long_headers));
        let app = app.wrap(headers::careful(front.certificate.is_some()));
        app.wrap(from_fn(request_id::note))
    };
    let threads = std::thread::available_parallelism()?.get();
    let server = HttpServer::new(app)
        .workers(threads)
        // The server counts them for each of its threads.
        .max_connections(usize::try_from(max_connections).unwrap_or(usize::MAX).div_ceil(threads))
        .client_request_timeout(HEAD_PATIENCE);
    let server = match certificate {
        Some(certificate) => {
            server.listen_rustls_0_23(listener, certificate.server_config().map_err(std::io::Error::other)?)?
        }
        None => server.listen(listener)?,
    };
    let server = server.disable_signals().shutdown_timeout(SHUTDOWN_SECONDS).run();
    let handle = server.handle();
    tokio::spawn(async move {
        stop.cancelled().await;
        handle.stop(true).await;
    });
    server.await
}

async fn refuse_long_headers<B: MessageBody>(
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<B>, Error> {
    let length: usize = request.headers().iter().map(|(name, value)| name.as_str().len() + value.len()).sum();
    if length > HEADER_LIMIT {
        return Err(ApiError::Header { limit: HEADER_LIMIT }.into());
    }
    next.call(request).await
}
