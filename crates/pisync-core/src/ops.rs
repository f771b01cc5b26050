//! The port for operators of a process without other HTTP routes: `/healthz`, `/readyz` and `/metrics`.

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
use serde_json::{Map, Value, json};
use tokio::net::{TcpListener, TcpStream};

use crate::{
    healthcheck::{Healthcheck, Unwell},
    metrics,
    queue::{Readiness, Refused},
    settings,
    store::StoreError,
};

/// The timeout of a request's head.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);

/// The wait after a failed accept, as without free file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// The address of the port.
#[derive(Debug, Clone, Copy, Args)]
pub struct OpsSettings {
    /// Address of a port with /healthz, /readyz and /metrics of this process; none unless set
    #[arg(long, env = "PISYNC_OPS_BIND", value_parser = settings::address)]
    pub ops_bind: Option<SocketAddr>,
}

/// A dependency of a process, and whether it is met.
#[derive(Debug, Clone)]
pub struct Need {
    /// Its name in the answer.
    pub name: &'static str,
    /// Whether the process can work.
    pub is_met: bool,
    /// The causes of failure; there can be some even if the process can work in part.
    pub refused: Vec<Refused>,
}

/// All dependencies.
pub type Needs = Vec<Need>;

impl Need {
    /// Returns a need that is met, or not with a cause: a short stable word, and the same for people.
    pub fn of(name: &'static str, met: Result<(), (&'static str, &'static str)>) -> Self {
        let refused = |(cause, detail)| Refused { cause, detail, partitions: Vec::new() };
        Self { name, is_met: met.is_ok(), refused: met.err().map(refused).into_iter().collect() }
    }
}

/// Redis is met while any partition can be processed.
impl From<Readiness> for Need {
    fn from(readiness: Readiness) -> Self {
        Self { name: "redis", is_met: readiness.is_ready(), refused: readiness.refused }
    }
}

/// `MongoDB` is met while it accepts writes.
impl From<Result<(), StoreError>> for Need {
    fn from(writes: Result<(), StoreError>) -> Self {
        Self::of("mongodb", writes.map_err(|error| (error.cause(), error.detail())))
    }
}

impl OpsSettings {
    /// Asks the process with these settings for its health.
    pub fn ask(self, healthcheck: Healthcheck) -> Result<(), Unwell> {
        healthcheck.ask(self.ops_bind.ok_or(Unwell::NoPort)?)
    }

    /// Serves the port, if one is set, until the process ends. Each `/readyz` calls `needs`.
    ///
    /// Fails if the address cannot be bound.
    pub async fn serve<F>(
        self,
        registry: Registry,
        needs: impl Fn() -> F + Clone + Send + Sync + 'static,
    ) -> Result<(), settings::CannotBind>
    where
        F: Future<Output = Needs> + Send + 'static,
    {
        let Some(address) = self.ops_bind else { return Ok(()) };
        let listener = TcpListener::bind(address).await;
        let listener =
            listener.map_err(|error| settings::CannotBind::new("--ops-bind (PISYNC_OPS_BIND)", address, &error))?;
        log::info!(address:% = listener.local_addr().unwrap_or(address); "the port for operators is open");
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
                log::debug!(error:% = error; "a connection could not be accepted");
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
    server.timer(TokioTimer::new()).header_read_timeout(HEAD_TIMEOUT);
    if let Err(error) = server.serve_connection(TokioIo::new(connection), answer).await {
        log::debug!(error:% = error; "an operator's connection failed");
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
        "/healthz" => json(StatusCode::OK, &json!({ "status": "ok" })),
        "/readyz" => readiness(&needs().await),
        _ => match metrics::render(registry) {
            Ok(rendered) => typed(StatusCode::OK, metrics::CONTENT_TYPE, rendered),
            Err(error) => text(StatusCode::INTERNAL_SERVER_ERROR, error.to_string()),
        },
    }
}

fn readiness(needs: &[Need]) -> Response<Full<Bytes>> {
    let is_ready = needs.iter().all(|need| need.is_met);
    let is_whole = needs.iter().all(|need| need.refused.is_empty());
    let (status, word) = match (is_ready, is_whole) {
        (false, _) => (StatusCode::SERVICE_UNAVAILABLE, "unavailable"),
        (true, true) => (StatusCode::OK, "ready"),
        (true, false) => (StatusCode::OK, "degraded"),
    };
    let mut body = Map::from_iter([("status".to_owned(), Value::from(word))]);
    for need in needs {
        body.insert(need.name.to_owned(), if need.is_met { "up" } else { "down" }.into());
    }
    let refused = needs.iter().flat_map(|need| need.refused.iter().map(move |refused| (need.name, refused)));
    let refused = refused.map(|(need, Refused { cause, detail, partitions })| {
        let mut refused = json!({ "need": need, "cause": cause, "detail": detail });
        if !partitions.is_empty() {
            refused["partitions"] = json!(partitions);
        }
        refused
    });
    let refused: Vec<_> = refused.collect();
    if !refused.is_empty() {
        body.insert("refused".to_owned(), refused.into());
    }
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
