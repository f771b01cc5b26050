//! The HTTP server around the routes.

use std::net::TcpListener;

use actix_web::{App, HttpServer, web};
use pisync_core::{
    crash::CrashSettings,
    queue::{Producer, Queue},
    store::Store,
};
use tokio_util::sync::CancellationToken;

use crate::{front::Front, headers, routes};

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
}

/// Serves on `listener` until `stop`, then finishes the requests under way.
pub async fn serve(listener: TcpListener, front: Front, state: State, stop: CancellationToken) -> std::io::Result<()> {
    let state = web::Data::new(state);
    let certificate = front.certificate.clone();
    let server = HttpServer::new(move || {
        App::new()
            .app_data(state.clone())
            .app_data(front.gate.clone())
            .app_data(front.origins.clone())
            .configure(routes::table)
            .wrap(headers::careful(front.certificate.is_some()))
    });
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
