//! The HTTP server around the routes.

use std::net::TcpListener;

use actix_web::{App, HttpServer, web};
use jiff::SignedDuration;
use pisync_core::{
    crash::CrashSettings,
    queue::{LastSeen, Producer, Queue},
    store::Store,
};
use tokio_util::sync::CancellationToken;

use crate::{cursor_key::CursorKeys, hours::Hours, routes};

/// How long requests may go on after the signal to stop.
const SHUTDOWN_SECONDS: u64 = 10;

/// What the routes work with.
#[derive(Debug, Clone)]
pub struct State {
    /// Whether the queue is there.
    pub queue: Queue,
    /// The way into the queue.
    pub producer: Producer,
    /// Where to die, in tests of the system.
    pub crash: CrashSettings,
    /// Where reads are answered from.
    pub store: Store,
    /// When devices were last heard of.
    pub last_seen: LastSeen,
    /// The hours, added up.
    pub hours: Hours,
    /// What cursors are sealed with.
    pub cursor_keys: CursorKeys,
    /// How long nothing is heard of a device until it is silent.
    pub silent_after: SignedDuration,
}

/// Serves on `listener` until `stop`, then finishes the requests under way.
pub async fn serve(listener: TcpListener, state: State, stop: CancellationToken) -> std::io::Result<()> {
    let state = web::Data::new(state);
    let server = HttpServer::new(move || App::new().app_data(state.clone()).configure(routes::table))
        .listen(listener)?
        .disable_signals()
        .shutdown_timeout(SHUTDOWN_SECONDS)
        .run();
    let handle = server.handle();
    tokio::spawn(async move {
        stop.cancelled().await;
        handle.stop(true).await;
    });
    server.await
}
