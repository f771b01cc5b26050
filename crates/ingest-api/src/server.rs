//! The HTTP server around the routes.

use std::net::TcpListener;

use actix_web::{App, middleware::from_fn, web};
use tokio_util::sync::CancellationToken;

use crate::{
    api::{Docs, SummaryCache},
    dashboard::{Assets, Attempts, Pace},
    front::Front,
    http::{self, Permits, headers, request_id, server::Bounds, session::Sessions, tls::Certificate},
    routes,
    state::State,
};

/// Serves on `listener` until `stop`, then finishes the requests in flight.
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
    let sessions = web::Data::new(Sessions::new(state.signing_keys.clone(), state.queue.clone()));
    let state = web::Data::new(state);
    let docs = web::Data::new(Docs::new());
    let summaries = web::Data::new(SummaryCache::default());
    let assets = web::Data::new(Assets::new()?);
    let pace = web::Data::new(Pace::default());
    let attempts = web::Data::new(Attempts::new(bounds.are_kept));
    let tls = front.certificate.as_ref().map(Certificate::server_config).transpose();
    let tls = tls.map_err(std::io::Error::other)?;
    let app = move || {
        let app = App::new().app_data(state.clone()).app_data(metrics.clone()).app_data(docs.clone());
        let app = app
            .app_data(assets.clone())
            .app_data(attempts.clone())
            .app_data(permits.clone())
            .app_data(sessions.clone());
        let app = app.app_data(summaries.clone()).app_data(pace.clone());
        let app = app.app_data(budget.clone()).app_data(front.site.clone()).app_data(front.authenticator.clone());
        let app = app.configure(|config| routes::table(config, &front.origins));
        // Outermost last.
        let app = app.wrap(from_fn(http::perimeter));
        let app = app.wrap(headers::security_headers(front.certificate.is_some()));
        app.wrap(from_fn(request_id::note))
    };
    http::server::serve(listener, tls, bounds, app, counted, stop).await
}
