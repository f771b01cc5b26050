//! The HTTP side of `PiSync`: accepts reports by [`routes`] and queues them.
//!
//! In reading order: [`config`], [`server`] (with [`front`] and [`state`]), [`http`] (the layers before every
//! route), [`routes`], `ingest` (the routes of devices), [`api`] and [`dashboard`] (the reads), [`fleet`]
//! (computed once for both); [`commands`] for the operator.

pub mod api;
pub mod commands;
pub mod config;
pub mod dashboard;
pub mod fleet;
pub mod front;
pub mod http;
mod ingest;
pub mod routes;
pub mod server;
pub mod state;

use std::{net::TcpListener, sync::Arc, time::Duration};

use actix_web::web::Data;
use anyhow::Context;
use pisync_core::{
    presence::Heartbeat,
    process::Process,
    queue::{Producer, Queue},
    settings::CannotBind,
    shutdown,
    store::Store,
};

use crate::{
    config::Config,
    fleet::Fleet,
    front::Front,
    http::{Budget, limits::Limits, metrics::Metrics, server::Bounds},
    state::State,
};

/// Maximum bytes of bodies and long heads in memory, over all connections. With the default `--max-connections`
/// and the process itself, they fit the 256 MB of `deploy/`.
const BODIES: usize = 48 * 1024 * 1024;

/// Serves until a signal to stop.
///
/// Fails if the address cannot be bound or Redis serves another queue. Redis or `MongoDB` may still be down at
/// the start.
// Not in `main.rs`: a library's asynchronous code is compiled where a runtime runs it, and would be compiled twice.
#[actix_web::main]
pub async fn run(config: Config) -> anyhow::Result<()> {
    if config.has_bounds() {
        http::reads::start().context("starting the threads of reads")?;
    }
    let front = Front::open(&config);
    front.read_again_on_hangup().context("listening for SIGHUP")?;
    let stop = shutdown::on_signal().context("listening for signals")?;
    let listener = TcpListener::bind(config.bind);
    let listener = listener.map_err(|error| CannotBind::new("--bind (PISYNC_BIND)", config.bind, &error))?;
    let queue = Queue::new(&config.redis)?;
    queue.open(Process::Ingest).await?;
    let store = Store::open(&config.mongo, "ingest-api").await.context("opening the store")?;
    let indexes = store.clone();
    tokio::spawn(async move { indexes.keep_indexes(Process::Ingest).await });

    tokio::spawn(Heartbeat::new(queue.clone()).keep(Process::Ingest));
    let producer = Producer::start(queue.clone(), config.max_queue);
    let state = State {
        limits: Arc::new(Limits::new(&config.limits)),
        cursor_keys: front.cursor_keys.clone(),
        signing_keys: front.signing_keys.clone(),
        fleet: Fleet::new(&queue, store.clone(), config.silent_after),
        report_interval: config.report_interval,
        queue,
        producer,
        crash: config.crash.clone(),
        store,
        metrics: Data::new(Metrics::new()),
    };
    tokio::spawn(fleet::hourly::keep(state.fleet.clone(), config.first_record()));
    log::info!(address:% = listener.local_addr()?; "listening");
    let bounds = Bounds {
        max_connections: usize::try_from(config.max_connections).unwrap_or(usize::MAX),
        keep_alive: Duration::from_secs(config.keep_alive.into()),
        budget: Budget::new(if config.has_bounds() { BODIES } else { usize::MAX }),
        are_kept: config.has_bounds(),
    };
    server::serve(listener, front, state, bounds, stop).await.context("serving")
}
