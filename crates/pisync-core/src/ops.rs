//! The port for operators of a process that serves no HTTP else: `/healthz`, `/readyz` and
//! `/metrics`.

use std::{convert::Infallible, future::Future, net::SocketAddr, sync::Arc, time::Duration};

use clap::Args;
use http_body_util::Full;
use hyper::{
    Method, Request, Response, StatusCode,
    body::{Bytes, Incoming},
    header::{ALLOW, CONTENT_TYPE, HeaderValue},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::{TokioIo, TokioTimer};
use prometheus_client::registry::Registry;
use serde_json::{Map, Value};
use tokio::net::{TcpListener, TcpStream};

use crate::{
    healthcheck::{Healthcheck, Unwell},
    metrics,
};

/// How long the head of a request may take.
const HEAD_PATIENCE: Duration = Duration::from_secs(10);

/// How long to wait before the next connection when none can be taken, as without free files.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Where the port is.
#[derive(Debug, Clone, Copy, Args)]
pub struct OpsSettings {
    /// Address of a port with /healthz, /readyz and /metrics of this process; none unless set
    #[arg(long, env = "PISYNC_OPS_BIND")]
    pub ops_bind: Option<SocketAddr>,
}

/// What a process needs, by name, and whether it is there.
pub type Needs = Vec<(&'static str, bool)>;

impl OpsSettings {
    /// Asks the process that has these settings whether it is well.
    pub fn ask(self, healthcheck: Healthcheck) -> Result<(), Unwell> {
        healthcheck.ask(self.ops_bind.ok_or(Unwell::NoPort)?)
    }

    /// Serves where the settings say so, until the process ends; `needs` is asked for `/readyz`.
    ///
    /// Fails where the address cannot be bound.
    pub async fn serve<F>(
        self,
        registry: Registry,
        needs: impl Fn() -> F + Clone + Send + Sync + 'static,
    ) -> std::io::Result<()>
    where
        F: Future<Output = Needs> + Send + 'static,
    {
        let Some(address) = self.ops_bind else { return Ok(()) };
        let listener = TcpListener::bind(address).await?;
        log::info!(address:% = listener.local_addr()?; "the port for operators is open");
        tokio::spawn(accept(listener, Arc::new(registry), needs));
        Ok(())
    }
}

async fn accept<F>(
    listener: TcpListener,
    registry: Arc<Registry>,
    needs: impl Fn() -> F + Clone + Send + Sync + 'static,
) where
    F: Future<Output = Needs> + Send + 'static,
{
    loop {
        match listener.accept().await {
            Ok((connection, _)) => {
                tokio::spawn(talk(connection, registry.clone(), needs.clone()));
            }
            Err(error) => {
                log::debug!(error:% = error; "no connection could be taken");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

async fn talk<F>(connection: TcpStream, registry: Arc<Registry>, needs: impl Fn() -> F + Clone)
where
    F: Future<Output = Needs>,
{
    let answer = service_fn(|request: Request<Incoming>| {
        let (registry, needs) = (registry.clone(), needs.clone());
        async move { Ok::<_, Infallible>(answer(&request, &registry, needs).await) }
    });
    let mut server = http1::Builder::new();
    server.timer(TokioTimer::new()).header_read_timeout(HEAD_PATIENCE);
    if let Err(error) = server.serve_connection(TokioIo::new(connection), answer).await {
        log::debug!(error:% = error; "a connection of an operator broke");
    }
}

async fn answer<F>(request: &Request<Incoming>, registry: &Registry, needs: impl Fn() -> F) -> Response<Full<Bytes>>
where
    F: Future<Output = Needs>,
{
    let path = request.uri().path();
    if !["/healthz", "/readyz", "/metrics"].contains(&path) {
        return text(StatusCode::NOT_FOUND, "there is no such route\n".into());
    }
    if ![Method::GET, Method::HEAD].contains(request.method()) {
        let mut refused = text(StatusCode::METHOD_NOT_ALLOWED, "this route takes GET\n".into());
        refused.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
        return refused;
    }
    match path {
        "/healthz" => json(StatusCode::OK, &serde_json::json!({ "status": "ok" })),
        "/readyz" => readiness(needs().await),
        _ => match metrics::render(registry) {
            Ok(rendered) => typed(StatusCode::OK, metrics::CONTENT_TYPE, rendered),
            Err(error) => text(StatusCode::INTERNAL_SERVER_ERROR, error.to_string()),
        },
    }
}

fn readiness(needs: Needs) -> Response<Full<Bytes>> {
    let is_ready = needs.iter().all(|(_, is_there)| *is_there);
    let (status, word) =
        if is_ready { (StatusCode::OK, "ready") } else { (StatusCode::SERVICE_UNAVAILABLE, "unavailable") };
    let mut body = Map::from_iter([("status".to_owned(), Value::from(word))]);
    body.extend(needs.into_iter().map(|(name, up)| (name.to_owned(), if up { "up" } else { "down" }.into())));
    json(status, &body.into())
}

fn json(status: StatusCode, body: &Value) -> Response<Full<Bytes>> {
    typed(status, "application/json", body.to_string())
}

fn text(status: StatusCode, body: String) -> Response<Full<Bytes>> {
    typed(status, "text/plain; charset=utf-8", body)
}

fn typed(status: StatusCode, media_type: &'static str, body: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body.into()));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(media_type));
    response
}
