//! The server: a thread for each processor, HTTP/1.1 over TCP or TLS.

use std::{
    fmt,
    future::poll_fn,
    io,
    net::{SocketAddr, TcpListener},
    pin::pin,
    rc::Rc,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use actix_http::{HttpService, Request};
use actix_server::Server;
use actix_service::{IntoServiceFactory, Service, ServiceFactory, fn_factory, map_config};
use actix_web::{
    Error,
    body::BoxBody,
    dev::{AppConfig, ServiceResponse},
    web::Data,
};
use futures_util::future::LocalBoxFuture;
use rustls::ServerConfig;
use socket2::SockRef;
use tokio::{net::TcpStream, time::timeout};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

use super::{
    connection::{Connection, HEAD_TIMEOUT},
    io::{Bounded, Stream},
    service::Counted,
    table::{Bounds, Table},
};
use crate::http::metrics::Metrics;

/// Timeout of requests in flight after the signal to stop, in seconds.
const SHUTDOWN_SECONDS: u64 = 10;

/// Timeout of the TLS handshake.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);

/// Time for a client to read an answer to a body that was not read.
const LINGER_TIMEOUT: Duration = Duration::from_secs(2);

/// Kernel buffer for each direction of a connection, in bytes. In a cgroup with a limit, unread answers and
/// pipelined requests count as memory of this process.
const SOCKET_BUFFER: usize = 64 * 1024;

/// Maximum number of connections to be accepted. The kernel caps it at `somaxconn`.
const BACKLOG: i32 = 4_096;

/// Size of the write buffer, in bytes.
const WRITE_BUFFER: usize = 4 * 1024;

/// Serves the application on `listener` until `stop`, then finishes the requests in flight.
pub(crate) async fn serve<A, F, I>(
    listener: TcpListener,
    tls: Option<ServerConfig>,
    bounds: Bounds,
    app: F,
    metrics: Data<Metrics>,
    stop: CancellationToken,
) -> io::Result<()>
where
    F: Fn() -> I + Send + Clone + 'static,
    I: IntoServiceFactory<A, Request>,
    A: ServiceFactory<Request, Config = AppConfig, Response = ServiceResponse<BoxBody>, Error = Error> + 'static,
    A::InitError: fmt::Debug,
    A::Service: 'static,
    <A::Service as Service<Request>>::Future: 'static,
{
    let socket = SockRef::from(&listener);
    // Connections inherit it from their listener.
    socket.set_tcp_nodelay(true)?;
    if bounds.are_kept {
        socket.set_send_buffer_size(SOCKET_BUFFER)?;
        socket.set_recv_buffer_size(SOCKET_BUFFER)?;
        // Beyond the 128 of the standard library: if the backlog is full, a client retries after a second.
        socket.listen(BACKLOG)?;
    }
    let threads = std::thread::available_parallelism()?.get();
    // The server counts them for each of its threads.
    let most = bounds.max_connections.div_ceil(threads);
    let tls = tls.map(|config| TlsAcceptor::from(Arc::new(config)));
    let builder = Server::build().workers(threads).max_concurrent_connections(most).disable_signals();
    let builder = builder.shutdown_timeout(SHUTDOWN_SECONDS);
    let stopping = builder.graceful_shutdown_signal();
    let server = builder.listen("http", listener, move || {
        let (app, tls, bounds, stopping) = (app.clone(), tls.clone(), bounds.clone(), stopping.clone());
        let metrics = metrics.clone();
        fn_factory(move || {
            let (app, tls, bounds, stopping) = (app(), tls.clone(), bounds.clone(), stopping.clone());
            let metrics = metrics.clone();
            async move {
                let table = Table::new(most, &bounds, metrics);
                let app = map_config(app, |()| AppConfig::default()).new_service(()).await;
                let app = app.map_err(|error| log::error!(error:? = error; "building the application failed"))?;
                let app = Rc::new(Counted::new(app, Rc::clone(&table), bounds.are_kept));
                let http = HttpService::build()
                    // With limits, the table closes idle and slow connections. The framework sees only whole
                    // heads, and would close a connection in the middle of one.
                    .keep_alive(if bounds.are_kept { bounds.keep_alive + 2 * HEAD_TIMEOUT } else { bounds.keep_alive })
                    .client_request_timeout(if bounds.are_kept { Duration::ZERO } else { HEAD_TIMEOUT })
                    .client_disconnect_timeout(LINGER_TIMEOUT)
                    .h1_write_buffer_size(if bounds.are_kept { WRITE_BUFFER } else { 8 * WRITE_BUFFER })
                    .graceful_shutdown_signal(move || {
                        let stopping = stopping.clone();
                        async move { stopping.notified().await }
                    })
                    .on_connect_ext(|stream: &Bounded, data| drop(data.insert(Rc::clone(&stream.connection))))
                    .h1(fn_factory(move || {
                        let app = Rc::clone(&app);
                        async move { Ok::<_, ()>(app) }
                    }));
                let http = Rc::new(http.new_service(()).await?);
                Ok::<_, ()>(Connections { http, table, tls })
            }
        })
    })?;
    let server = server.run();
    let handle = server.handle();
    tokio::spawn(async move {
        stop.cancelled().await;
        handle.stop(true).await;
    });
    server.await
}

/// Accepts the connections of a thread.
struct Connections<S> {
    http: Rc<S>,
    table: Rc<Table>,
    tls: Option<TlsAcceptor>,
}

impl<S> Service<TcpStream> for Connections<S>
where
    S: Service<(Bounded, Option<SocketAddr>), Response = ()> + 'static,
    S::Error: fmt::Debug,
{
    type Response = ();
    type Error = ();
    type Future = LocalBoxFuture<'static, Result<(), ()>>;

    fn poll_ready(&self, context: &mut Context<'_>) -> Poll<Result<(), ()>> {
        self.http.poll_ready(context).map_err(|_| ())
    }

    fn call(&self, stream: TcpStream) -> Self::Future {
        let (place, http, tls) = (self.table.open(), Rc::clone(&self.http), self.tls.clone());
        Box::pin(async move {
            let mut conversation = pin!(converse(stream, &place.connection, &*http, tls));
            // Not `select!`, which costs more: each request is polled here several times.
            poll_fn(|context| match place.connection.poll_killed(context) {
                Poll::Ready(()) => Poll::Ready(()),
                Poll::Pending => conversation.as_mut().poll(context),
            })
            .await;
            Ok(())
        })
    }
}

/// Serves all requests of a connection, until it closes.
async fn converse<S>(stream: TcpStream, connection: &Rc<Connection>, http: &S, tls: Option<TlsAcceptor>)
where
    S: Service<(Bounded, Option<SocketAddr>), Response = ()>,
    S::Error: fmt::Debug,
{
    let peer = stream.peer_addr().ok();
    let stream = match tls {
        None => Stream::Plain(stream),
        Some(acceptor) => match timeout(HANDSHAKE_TIMEOUT, acceptor.accept(stream)).await {
            Ok(Ok(stream)) => Stream::Tls(Box::new(stream)),
            Ok(Err(error)) => return log::debug!(error:% = error; "TLS handshake failed"),
            Err(_) => return log::debug!("TLS handshake timed out"),
        },
    };
    if let Err(error) = http.call((Bounded::new(stream, Rc::clone(connection)), peer)).await {
        log::debug!(error:? = error; "connection aborted");
    }
}
