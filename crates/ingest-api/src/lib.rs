//! The HTTP side of `PiSync`: what a device reports goes through [`routes`] into the queue.
//!
//! In reading order: [`config`], [`server`], [`request_id`], [`routes`], [`limits`], [`error`],
//! [`metrics`].

pub mod config;
pub mod error;
pub mod limits;
pub mod metrics;
pub mod request_id;
pub mod routes;
pub mod server;

use std::{net::TcpListener, sync::Arc};

use actix_web::web::Data;
use anyhow::Context;
use pisync_core::{
    queue::{Producer, Queue, QueueError},
    shutdown,
    store::Store,
};

use crate::{config::Config, limits::Limits, metrics::Metrics, server::State};

/// Serves until a signal to stop comes.
///
/// Fails where the address cannot be bound or Redis serves another queue; Redis or `MongoDB`
/// being away is no failure, they may come.
pub async fn run(config: Config) -> anyhow::Result<()> {
    let stop = shutdown::on_signal().context("listening for signals")?;
    let listener = TcpListener::bind(config.bind).with_context(|| format!("binding {}", config.bind))?;
    let queue = Queue::new(&config.redis)?;
    match queue.check().await {
        Err(error @ QueueError::Misconfigured(_)) => return Err(error.into()),
        Err(error) => log::warn!(error:% = error; "starting without redis"),
        Ok(()) => {}
    }
    let store = Store::open(&config.mongo, "ingest-api").await.context("opening the store")?;
    let indexes = store.clone();
    tokio::spawn(async move { indexes.ensure_indexes_in_time().await });

    let producer = Producer::start(queue.clone(), config.max_queue);
    log::info!(address:% = listener.local_addr()?; "listening");
    let limits = Arc::new(Limits::new(&config.limits));
    let tidied = limits.clone();
    tokio::spawn(async move { tidied.tidy().await });
    let state = State { queue, producer, limits, crash: config.crash, store, metrics: Data::new(Metrics::new()) };
    server::serve(listener, state, config.max_connections, stop).await.context("serving")
}
